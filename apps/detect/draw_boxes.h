// The application's last step: draws what detect_object found, and who it is, into the frame.
#pragma once

#include <span>
#include <string_view>

#include <opencv2/core.hpp>

#include "detect.h"
#include "tracker.h"

namespace detect {

// Draws the tracks with label, identity and score into `frame` (8-bit BGR), each identity in a
// colour of its own, and the detections that have no track yet in grey.
void draw_boxes(cv::Mat& frame, std::span<const Detection> detections,
                std::span<const Track> tracks);

// The COCO name of a class, "unknown" outside 0..79.
[[nodiscard]] std::string_view label(std::int32_t class_id);

}  // namespace detect
