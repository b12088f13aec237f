// Whether the calls that run here are kept, and where: turned on and off while they run. What keeps
// them is a CallRecorder, one at a time.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>

#include "host/call_recorder.h"
#include <aloft/result.h>

namespace aloft::host {

// Thread rule: any thread.
class CallRecording {
 public:
  // Calls that start from now on are kept. Errors: refused (they are already, or the folder cannot
  // be used), as CallRecorder::open() says.
  [[nodiscard]] Result<void> begin(RecorderOptions options);
  // None is kept from now on, nor one that runs. What has been; none: nothing was recording.
  std::optional<CallRecorder::Counts> end();

  // For a call that is about to run; null: it is not kept. Costs one look where nothing records.
  [[nodiscard]] std::shared_ptr<CallRecorder> now() const {
    return on_.load(std::memory_order_acquire) ? recorder() : nullptr;
  }
  // Where calls are kept; none: nothing is recording.
  [[nodiscard]] std::optional<std::filesystem::path> folder() const;

 private:
  [[nodiscard]] std::shared_ptr<CallRecorder> recorder() const;

  std::atomic<bool> on_ = false;
  mutable std::mutex mutex_;
  std::shared_ptr<CallRecorder> recorder_;
};

}  // namespace aloft::host
