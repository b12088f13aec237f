#include "host/repository.h"

#include <algorithm>
#include <fstream>
#include <system_error>
#include <utility>
#include <vector>

#include <spdlog/spdlog.h>

namespace aloft::host {

namespace fs = std::filesystem;

namespace {

// Modules that stay loaded though no session has them.
constexpr std::size_t kKept = 8;

}  // namespace

Result<std::unique_ptr<Repository>> Repository::open(fs::path folder, runtime::Engine& engine) {
  std::error_code error;
  if (!fs::is_directory(folder, error))
    return fail(Errc::not_found, "no such folder: " + folder.string());
  return std::unique_ptr<Repository>(new Repository(std::move(folder), engine));
}

Result<std::shared_ptr<const runtime::Module>> Repository::find(const std::string& name,
                                                                const Digest& digest) {
  const std::lock_guard lock(mutex_);
  File* file = find_file(digest);
  if (file == nullptr) {
    scan();
    file = find_file(digest);
  }
  if (file == nullptr) {
    return fail(Errc::not_found, "no module " + name + " with digest sha256:" + digest.hex() +
                                     " in the repository " + folder_.string());
  }
  auto module = file->module.lock();
  if (module && !is_still_there(*file)) {
    std::erase(kept_, module);
    module = nullptr;
  }
  if (!module) {
    const std::string file_name = file->path.filename().string();
    auto loaded = load(*file);
    if (!loaded) return fail(loaded.error().code, file_name + ": " + loaded.error().message);
    module = *std::move(loaded);
    file->module = module;
  }
  if (module->manifest()->module != name) {
    return fail(Errc::not_found, "the module with digest sha256:" + digest.hex() + " is " +
                                     module->manifest()->module + ", not " + name);
  }
  keep(module);
  return module;
}

bool Repository::is_still_there(File& file) {
  std::error_code error;
  const auto size = fs::file_size(file.path, error);
  const auto modified = fs::last_write_time(file.path, error);
  if (error) return false;
  if (size == file.size && modified == file.modified) return true;
  const auto hashed = sha256_file(file.path);
  if (!hashed || hashed->digest != file.digest) return false;
  file.size = size;
  file.modified = modified;
  return true;
}

void Repository::keep(const std::shared_ptr<const runtime::Module>& module) {
  std::erase(kept_, module);
  kept_.push_back(module);
  if (kept_.size() > kKept) kept_.pop_front();
}

Repository::File* Repository::find_file(const Digest& digest) {
  const auto found = std::ranges::find_if(
      files_, [&](const auto& entry) { return entry.second.digest == digest; });
  return found == files_.end() ? nullptr : &found->second;
}

void Repository::scan() {
  std::map<fs::path, File> found;
  std::error_code error;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;
    if (it->path().extension() != ".wasm" || !it->is_regular_file(gone)) continue;
    const auto size = it->file_size(gone);
    const auto modified = it->last_write_time(gone);
    if (gone) continue;
    if (const auto known = files_.find(it->path());
        known != files_.end() && known->second.size == size && known->second.modified == modified) {
      found.insert(files_.extract(known));
      continue;
    }
    if (const auto hashed = sha256_file(it->path())) {
      found.emplace(it->path(), File{it->path(), size, modified, hashed->digest, {}});
    } else {
      spdlog::warn("repository: {}: {}", it->path().string(), hashed.error().message);
    }
  }
  if (error) spdlog::warn("repository: {}: {}", folder_.string(), error.message());
  files_ = std::move(found);
}

Result<std::shared_ptr<const runtime::Module>> Repository::load(File& file) {
  std::vector<std::byte> bytes(file.size);
  std::ifstream in(file.path, std::ios::binary);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!in || sha256(bytes) != file.digest) {
    file.digest = {};  // so that the next one who asks makes us look again
    file.size = 0;
    return fail(Errc::not_found, "the file changed in the repository while it was read");
  }
  auto module = engine_.load(bytes);
  if (!module) return module;
  if (!(*module)->manifest()) {
    return fail(Errc::refused, "it has no manifest: only modules made by aloft-cc can be called");
  }
  if (auto checked = (*module)->check_abi(); !checked) return std::unexpected(checked.error());
  return module;
}

}  // namespace aloft::host
