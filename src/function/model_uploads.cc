#include "function/model_uploads.h"

#include <algorithm>
#include <fstream>
#include <utility>

namespace aloft::function {
namespace {

Result<std::vector<std::byte>> read_model(const ModelFile& model) {
  std::ifstream file(model.path, std::ios::binary);
  if (!file) return fail(Errc::not_found, "cannot open the model " + model.path.string());
  std::vector<std::byte> bytes(static_cast<std::size_t>(model.size));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file || file.peek() != std::ifstream::traits_type::eof()) {
    return fail(Errc::corrupt,
                "the model " + model.path.string() + " has another size than when it was loaded");
  }
  return bytes;
}

}  // namespace

ModelUploads::ModelUploads(std::vector<ModelFile> models, std::function<void()> loaded)
    : models_(std::move(models)), loaded_(std::move(loaded)) {
  if (!models_.empty())
    reader_ = std::jthread([this](const std::stop_token& stop) { read_files(stop); });
}

ModelUploads::~ModelUploads() = default;

Result<void> ModelUploads::want(channel::StreamId stream, std::string_view sha256) {
  const auto model = std::ranges::find(models_, sha256, &ModelFile::sha256);
  if (model == models_.end()) {
    return fail(Errc::not_found, "the edge wants a model that was not offered: " +
                                     std::string(sha256.substr(0, 64)));
  }
  const std::lock_guard lock(mutex_);
  uploads_[stream].model = &*model;
  work_.notify_one();
  return {};
}

bool ModelUploads::on_credit(channel::StreamId stream, std::uint64_t capacity) {
  const std::lock_guard lock(mutex_);
  const auto upload = uploads_.find(stream);
  if (upload == uploads_.end()) return false;
  upload->second.granted = capacity >= upload->second.model->size;
  return true;
}

std::optional<ModelUploads::Ready> ModelUploads::take_ready() {
  const std::lock_guard lock(mutex_);
  for (auto& [stream, upload] : uploads_) {
    if (upload.taken || !upload.bytes) continue;
    const bool failed = !upload.bytes->has_value();
    if (!failed && !upload.granted) continue;
    upload.taken = true;
    Ready ready{.stream = stream, .sha256 = upload.model->sha256, .bytes = {}};
    if (failed) {
      ready.bytes = std::unexpected(upload.bytes->error());
    } else {
      ready.bytes = std::span<const std::byte>(**upload.bytes);
    }
    return ready;
  }
  return std::nullopt;
}

void ModelUploads::finish(channel::StreamId stream) {
  const std::lock_guard lock(mutex_);
  uploads_.erase(stream);
}

void ModelUploads::clear() {
  const std::lock_guard lock(mutex_);
  uploads_.clear();
}

void ModelUploads::read_files(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const auto unread = [&] {
    return std::ranges::find_if(uploads_, [](const auto& entry) { return !entry.second.bytes; });
  };
  while (work_.wait(lock, stop, [&] { return unread() != uploads_.end(); })) {
    const auto [stream, upload] = *unread();
    lock.unlock();
    auto bytes = read_model(*upload.model);
    lock.lock();
    // The link may have gone meanwhile, and another one may want another model on this stream.
    const auto wanted = uploads_.find(stream);
    if (wanted == uploads_.end() || wanted->second.model != upload.model || wanted->second.bytes)
      continue;
    wanted->second.bytes = std::move(bytes);
    lock.unlock();
    loaded_();
    lock.lock();
  }
}

}  // namespace aloft::function
