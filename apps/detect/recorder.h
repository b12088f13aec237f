// Shows the enriched frames: in a window, or as a video file. A process of its own, so that
// encoding video (some 20 ms a frame) and drawing windows stay outside what is held and measured.
#pragma once

#include <filesystem>
#include <string>

#include <opencv2/core.hpp>
#include <sys/types.h>

#include "options.h"
#include <aloft/result.h>

namespace detect {

struct RecorderOptions {
  bool window = false;               // else a video file
  std::filesystem::path video_file;  // .mp4
  double frames_per_second = 25;     // of playback
};

// What to do with the frames, from the command line and whether there is a screen; nothing to do:
// no recorder.
enum class Output : std::uint8_t { none, window, video_file };
[[nodiscard]] Output choose_output(Display display, Recording recording);

// Thread rule: one thread at a time.
class Recorder {
 public:
  // Forks the child. Call before threads are started and before the process is held.
  [[nodiscard]] static aloft::Result<Recorder> start(const RecorderOptions& options, cv::Size size);
  Recorder(Recorder&& other) noexcept;
  Recorder& operator=(Recorder&&) = delete;
  ~Recorder();

  // Hands a frame (8-bit BGR, the size given to start) over, with a line of text to show on it.
  // Waits when the child is more than a few frames behind. Errors: unreachable when the child is
  // gone (a closed window).
  [[nodiscard]] aloft::Result<void> show(const cv::Mat& frame, const std::string& caption);
  // Waits until the child has written everything. Errors: internal when it failed.
  [[nodiscard]] aloft::Result<void> finish();

 private:
  Recorder(pid_t child, int pipe, cv::Size size) : child_(child), pipe_(pipe), size_(size) {}
  pid_t child_;
  int pipe_;
  cv::Size size_;
};

}  // namespace detect
