#include "host/model_store.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "host/whole_file.h"

namespace aloft::host {
namespace {

namespace fs = std::filesystem;

std::string mebibytes(std::uint64_t bytes) {
  return std::to_string((bytes + (1U << 20U) - 1) >> 20U) + " MiB";
}

}  // namespace

ModelStore::ModelStore(inference::Engine& engine, const Quarantine& quarantine,
                       ModelStoreOptions options)
    : engine_(engine), quarantine_(quarantine), options_(std::move(options)) {}

Result<void> ModelStore::admit(const Digest& digest, std::uint64_t size) const {
  if (size == 0) return fail(Errc::refused, "the model sha256:" + digest.hex() + " is empty");
  if (Bytes{size} > options_.max_model) {
    return fail(Errc::refused, "the model sha256:" + digest.hex() + " has " + mebibytes(size) +
                                   ", this edge takes " + mebibytes(options_.max_model.count()));
  }
  return quarantine_.check(digest, "model");
}

Result<std::shared_ptr<inference::Graph>> ModelStore::find(const Digest& digest) {
  if (auto allowed = quarantine_.check(digest, "model"); !allowed)
    return std::unexpected(allowed.error());
  if (auto graph = find_loaded(digest)) return graph;

  const std::lock_guard loading(load_mutex_);
  if (auto graph = find_loaded(digest)) return graph;  // another session was faster
  const fs::path file = file_of(digest);
  const auto bytes = read_whole(file);
  if (!bytes) return nullptr;
  std::error_code ignored;
  if (sha256(*bytes) != digest) {
    spdlog::warn("{} is not what its name says; removed", file.string());
    fs::remove(file, ignored);
    return nullptr;
  }
  fs::last_write_time(file, fs::file_time_type::clock::now(),
                      ignored);  // the files latest used stay longest
  return load(digest, *bytes);
}

Result<std::shared_ptr<inference::Graph>> ModelStore::add(const Digest& digest,
                                                          std::span<const std::byte> model) {
  if (auto admitted = admit(digest, model.size()); !admitted)
    return std::unexpected(admitted.error());
  if (const Digest real = sha256(model); real != digest) {
    return fail(Errc::corrupt,
                "the model sent as sha256:" + digest.hex() + " has sha256:" + real.hex());
  }
  const std::lock_guard loading(load_mutex_);
  if (auto graph = find_loaded(digest)) return graph;
  auto graph = load(digest, model);
  if (graph) keep(digest, model);
  return graph;
}

fs::path ModelStore::file_of(const Digest& digest) const {
  return options_.folder / (digest.hex() + ".onnx");
}

std::shared_ptr<inference::Graph> ModelStore::find_loaded(const Digest& digest) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(loaded_, digest, &Loaded::digest);
  if (found == loaded_.end()) return nullptr;
  loaded_.splice(loaded_.end(), loaded_, found);
  return found->graph;
}

Result<std::shared_ptr<inference::Graph>> ModelStore::load(const Digest& digest,
                                                           std::span<const std::byte> model) {
  if (auto room = make_room(model.size()); !room) return std::unexpected(room.error());
  auto graph = engine_.load_onnx(model);
  if (!graph) {
    return fail(graph.error().code,
                "the model sha256:" + digest.hex() + ": " + graph.error().message);
  }
  const std::lock_guard lock(mutex_);
  loaded_.push_back({digest, model.size(), *graph});
  return graph;
}

Result<void> ModelStore::make_room(std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  std::uint64_t total = size;
  for (const Loaded& loaded : loaded_) total += loaded.size;
  for (auto it = loaded_.begin(); it != loaded_.end() && Bytes{total} > options_.max_loaded;) {
    if (it->graph.use_count() > 1) {
      ++it;
      continue;
    }
    total -= it->size;
    it = loaded_.erase(it);
  }
  if (Bytes{total} <= options_.max_loaded) return {};
  return fail(Errc::overloaded, "the models that are loaded and this one come to " +
                                    mebibytes(total) + ", this edge holds " +
                                    mebibytes(options_.max_loaded.count()));
}

void ModelStore::keep(const Digest& digest, std::span<const std::byte> model) const {
  std::error_code error;
  fs::create_directories(options_.folder, error);
  make_room_on_disk(model.size());
  const fs::path file = file_of(digest);
  // Under another name until it is whole: another worker may look meanwhile, and a machine may
  // fail.
  const fs::path unfinished = file.string() + "." + std::to_string(::getpid());
  std::ofstream out(unfinished, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(model.data()),
            static_cast<std::streamsize>(model.size()));
  out.close();
  if (out) fs::rename(unfinished, file, error);
  if (!out || error) {
    spdlog::warn("cannot keep the model as {}; it is asked for again next time", file.string());
    fs::remove(unfinished, error);
  }
}

void ModelStore::make_room_on_disk(std::uint64_t size) const {
  struct File {
    fs::file_time_type used;
    std::uint64_t size;
    fs::path path;
  };
  std::vector<File> files;
  std::uint64_t total = size;
  std::error_code error;
  for (fs::directory_iterator it(options_.folder, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code gone;  // another worker makes room, too
    File file{it->last_write_time(gone), it->file_size(gone), it->path()};
    if (gone) continue;
    total += file.size;
    files.push_back(std::move(file));
  }
  std::ranges::sort(files, {}, &File::used);
  for (const File& file : files) {
    if (Bytes{total} <= options_.max_disk) break;
    fs::remove(file.path, error);
    total -= file.size;
  }
}

}  // namespace aloft::host
