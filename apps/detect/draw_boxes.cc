#include "draw_boxes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include <opencv2/imgproc.hpp>

namespace detect {
namespace {

// The class names of the COCO data set (cocodataset.org), in the order of YOLOv8's outputs.
constexpr std::array<std::string_view, 80> kLabels{
    "person",        "bicycle",      "car",
    "motorcycle",    "airplane",     "bus",
    "train",         "truck",        "boat",
    "traffic light", "fire hydrant", "stop sign",
    "parking meter", "bench",        "bird",
    "cat",           "dog",          "horse",
    "sheep",         "cow",          "elephant",
    "bear",          "zebra",        "giraffe",
    "backpack",      "umbrella",     "handbag",
    "tie",           "suitcase",     "frisbee",
    "skis",          "snowboard",    "sports ball",
    "kite",          "baseball bat", "baseball glove",
    "skateboard",    "surfboard",    "tennis racket",
    "bottle",        "wine glass",   "cup",
    "fork",          "knife",        "spoon",
    "bowl",          "banana",       "apple",
    "sandwich",      "orange",       "broccoli",
    "carrot",        "hot dog",      "pizza",
    "donut",         "cake",         "chair",
    "couch",         "potted plant", "bed",
    "dining table",  "toilet",       "tv",
    "laptop",        "mouse",        "remote",
    "keyboard",      "cell phone",   "microwave",
    "oven",          "toaster",      "sink",
    "refrigerator",  "book",         "clock",
    "vase",          "scissors",     "teddy bear",
    "hair drier",    "toothbrush"};

// Neighbouring identities get colours far apart: steps of the golden angle around the hue circle.
cv::Scalar colour(std::uint64_t identity) {
  const double hue = std::fmod(static_cast<double>(identity) * 137.508 + 120, 360) / 60;
  const double fade = 1 - std::abs(std::fmod(hue, 2) - 1);
  constexpr double kLow = 40;
  constexpr double kSpan = 215;
  const std::array<std::array<double, 3>, 6> rgb{
      {{1, fade, 0}, {fade, 1, 0}, {0, 1, fade}, {0, fade, 1}, {fade, 0, 1}, {1, 0, fade}}};
  const auto& [red, green, blue] = rgb[static_cast<std::size_t>(hue) % rgb.size()];
  return {kLow + kSpan * blue, kLow + kSpan * green, kLow + kSpan * red};
}

cv::Rect rectangle_of(const Box& box) {
  const auto pixel = [](float value) { return static_cast<int>(std::lround(value)); };
  return {pixel(box.x), pixel(box.y), pixel(box.width), pixel(box.height)};
}

void draw(cv::Mat& frame, const Box& box, const cv::Scalar& paint, const std::string& text) {
  const cv::Rect rectangle = rectangle_of(box);
  cv::rectangle(frame, rectangle, paint, 2);
  const cv::Point corner(rectangle.x, std::max(rectangle.y - 4, 10));
  cv::putText(frame, text, corner, cv::FONT_HERSHEY_SIMPLEX, 0.4, {0, 0, 0}, 2);
  cv::putText(frame, text, corner, cv::FONT_HERSHEY_SIMPLEX, 0.4, paint, 1);
}

}  // namespace

std::string_view label(std::int32_t class_id) {
  if (class_id < 0 || static_cast<std::size_t>(class_id) >= kLabels.size()) return "unknown";
  return kLabels[static_cast<std::size_t>(class_id)];
}

void draw_boxes(cv::Mat& frame, std::span<const Detection> detections,
                std::span<const Track> tracks) {
  std::vector<bool> tracked(detections.size(), false);
  for (const Track& track : tracks) {
    if (track.detection < tracked.size()) tracked[track.detection] = true;
    char words[32];
    std::snprintf(words, sizeof words, " %llu %.0f%%", static_cast<unsigned long long>(track.id),
                  static_cast<double>(track.score) * 100);
    draw(frame, track.box, colour(track.id), std::string(label(track.class_id)) + words);
  }
  for (std::size_t i = 0; i < detections.size(); ++i) {
    if (tracked[i]) continue;
    cv::rectangle(frame, rectangle_of(detections[i].box), {160, 160, 160}, 1);
  }
}

}  // namespace detect
