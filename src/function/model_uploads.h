// Models on their way to an edge that lacks them: read from their files off the I/O thread, sent
// when both the bytes and the edge's credit are there, forgotten once sent.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "channel/endpoint.h"
#include <aloft/result.h>

namespace aloft::function {

// A model that this device has.
struct ModelFile {
  std::string graph;  // the aloft::nn::Graph's name
  std::filesystem::path path;
  std::string sha256;      // 64 hex digits
  std::uint64_t size = 0;  // bytes
};

// Thread rule: as said at each member.
class ModelUploads {
 public:
  // `loaded` is called from the reading thread whenever a stream's bytes may have become ready to
  // be taken.
  ModelUploads(std::vector<ModelFile> models, std::function<void()> loaded);
  ~ModelUploads();  // waits for a file that is being read
  ModelUploads(const ModelUploads&) = delete;
  ModelUploads& operator=(const ModelUploads&) = delete;

  [[nodiscard]] const std::vector<ModelFile>& models() const { return models_; }

  // The edge wants the model on this stream. Errors: not_found when there is no such model. Any
  // thread.
  [[nodiscard]] Result<void> want(channel::StreamId stream, std::string_view sha256);
  // The edge has room for this many bytes on the stream. False when no model is wanted there. Any
  // thread.
  bool on_credit(channel::StreamId stream, std::uint64_t capacity);

  // An upload that can go now: its bytes stay where they are until finish() or clear(). An error is
  // what reading the file met. Each is answered once. Any thread.
  struct Ready {
    channel::StreamId stream = 0;
    std::string sha256;
    Result<std::span<const std::byte>> bytes;
  };
  [[nodiscard]] std::optional<Ready> take_ready();
  // The endpoint no longer reads the bytes. Any thread.
  void finish(channel::StreamId stream);
  // The link is gone, and all streams with it. Any thread.
  void clear();

 private:
  struct Upload {
    const ModelFile* model = nullptr;
    std::optional<Result<std::vector<std::byte>>> bytes;  // once read
    bool granted = false;
    bool taken = false;
  };

  void read_files(const std::stop_token& stop);

  const std::vector<ModelFile> models_;
  const std::function<void()> loaded_;
  std::mutex mutex_;
  std::condition_variable_any work_;
  std::map<channel::StreamId, Upload> uploads_;
  std::jthread reader_;  // last: it uses the rest
};

}  // namespace aloft::function
