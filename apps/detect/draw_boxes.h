// The application's third step: draws what detect_object found into the frame.
#pragma once

#include <span>
#include <string_view>

#include <opencv2/core.hpp>

#include "detect.h"

namespace detect {

// Draws each box with its label and score into `frame` (8-bit BGR).
void draw_boxes(cv::Mat& frame, std::span<const Detection> detections);

// The COCO name of a class, "unknown" outside 0..79.
[[nodiscard]] std::string_view label(std::int32_t class_id);

}  // namespace detect
