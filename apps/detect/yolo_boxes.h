// Network output to detections: YOLOv8's 84 rows of 8400 anchors, filtered, non-maximum suppressed
// class by class.
//
// Part of the module: compiled for the device and for WebAssembly. Sorting has a total order and
// every operation is one that IEEE 754 defines exactly, so both builds give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "detect.h"
#include "letterbox.h"

namespace detect {

inline constexpr std::size_t kClasses = 80;
inline constexpr std::size_t kAnchors = 8400;
inline constexpr std::size_t kOutputFloats = (4 + kClasses) * kAnchors;
inline constexpr float kScoreThreshold = 0.25F;
inline constexpr float kOverlapThreshold = 0.45F;  // intersection over union
inline constexpr std::size_t kMaxDetections = 300;

// `output`: kOutputFloats numbers, row by row: centre x, centre y, width, height in pixels of the
// square, then a score for each class. Answers boxes in pixels of the frame that `placement`
// placed, cut at its edges, best first; equal scores in the order of class, then anchor. Anchors
// with numbers that are no box (not finite, no area) are left out.
[[nodiscard]] std::vector<Detection> find_boxes(std::span<const float> output,
                                                const Placement& placement,
                                                std::uint32_t frame_width,
                                                std::uint32_t frame_height);

}  // namespace detect
