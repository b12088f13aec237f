// Where frames come from: a video file, a camera, or a generated scene.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <opencv2/core.hpp>

#include <aloft/result.h>

namespace detect {

// Thread rule: one thread at a time.
class FrameSource {
 public:
  virtual ~FrameSource() = default;
  // The next frame, 8-bit BGR with packed rows, owned by the Mat. A file starts again at its end.
  // Errors: corrupt when the file breaks off before the length it announces, unreachable when a
  // camera stops.
  [[nodiscard]] virtual aloft::Result<cv::Mat> next() = 0;
  // Frames of one pass; 0 where there is no end (camera, scene).
  [[nodiscard]] virtual std::uint64_t length() const = 0;
  [[nodiscard]] virtual double frames_per_second()
      const = 0;  // as recorded; for playing the result back
  [[nodiscard]] virtual cv::Size size() const = 0;
};

// `spec`: a file's path, "camera:N", or "scene". Errors: not_found, corrupt, invalid_argument, each
// saying what to do.
[[nodiscard]] aloft::Result<std::unique_ptr<FrameSource>> open_source(const std::string& spec);

}  // namespace detect
