// The frames that a drive goes through again and again, decoded beforehand: decoding is not what is
// measured.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <opencv2/core.hpp>

#include "source.h"
#include <aloft/image.h>
#include <aloft/result.h>

namespace aloft::drive {

// The first `count` of the video. Errors: as detect::open_source and FrameSource::next.
[[nodiscard]] inline Result<std::vector<cv::Mat>> first_frames(const std::string& video,
                                                               std::size_t count) {
  auto source = detect::open_source(video);
  if (!source) return std::unexpected(source.error());
  std::vector<cv::Mat> frames;
  while (frames.size() < count) {
    auto frame = (*source)->next();
    if (!frame) return std::unexpected(frame.error());
    frames.push_back(frame->clone());
  }
  return frames;
}

// Borrows the picture's bytes.
[[nodiscard]] inline Image image_of(const cv::Mat& picture) {
  return Image::borrow(static_cast<std::uint32_t>(picture.cols),
                       static_cast<std::uint32_t>(picture.rows), PixelFormat::bgr8,
                       {picture.data, picture.total() * picture.elemSize()});
}

}  // namespace aloft::drive
