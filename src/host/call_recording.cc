#include "host/call_recording.h"

#include <utility>

namespace aloft::host {

Result<void> CallRecording::begin(RecorderOptions options) {
  const std::lock_guard lock(mutex_);
  if (recorder_)
    return fail(Errc::refused, "calls are recorded already, in " + recorder_->folder().string());
  auto opened = CallRecorder::open(std::move(options));
  if (!opened) return std::unexpected(opened.error());
  recorder_ = *std::move(opened);
  on_.store(true, std::memory_order_release);
  return {};
}

std::optional<CallRecorder::Counts> CallRecording::end() {
  std::shared_ptr<CallRecorder> recorder;
  {
    const std::lock_guard lock(mutex_);
    on_.store(false, std::memory_order_release);
    recorder = std::exchange(recorder_, nullptr);
  }
  if (!recorder) return std::nullopt;
  return recorder->close();
}

std::optional<std::filesystem::path> CallRecording::folder() const {
  const std::lock_guard lock(mutex_);
  if (!recorder_) return std::nullopt;
  return recorder_->folder();
}

std::shared_ptr<CallRecorder> CallRecording::recorder() const {
  const std::lock_guard lock(mutex_);
  return recorder_;
}

}  // namespace aloft::host
