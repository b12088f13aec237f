#include "yolo_boxes.h"

#include <algorithm>
#include <array>
#include <bit>

#include "lanes.h"

namespace detect {
namespace {

// Anchors looked at together: their best scores stay in the first-level cache over all 80 rows.
constexpr std::size_t kBlock = 1200;
static_assert(kAnchors % kBlock == 0 && kBlock % 8 == 0);

// Pixels: no box of a picture reaches it, and squares of it are far from overflow.
constexpr float kFarthest = 1e6F;

struct Candidate {
  float score = 0;
  std::int32_t class_id = 0;
  std::uint32_t anchor = 0;
  float left = 0, top = 0, right = 0, bottom = 0;  // pixels of the square
};

constexpr std::size_t kRowsAtOnce = 16;
static_assert(kClasses % kRowsAtOnce == 0);

// best[i] = the highest of the `kClasses` scores of anchor i, 0 where there is none above it. A
// function of its own, so that its pointers have registers.
[[gnu::noinline]] void best_scores(const float* scores, float* best) {
  std::fill_n(best, kBlock, 0.0F);
  for (std::size_t row = 0; row < kClasses; row += kRowsAtOnce) {
    const float* const rows = scores + row * kAnchors;
    for (std::size_t i = 0; i < kBlock; ++i) {
      float highest = best[i];
      for (std::size_t r = 0; r < kRowsAtOnce; ++r) {
        const float score = rows[r * kAnchors + i];
        // One instruction for four anchors; a NaN never wins.
        highest = highest < score ? score : highest;
      }
      best[i] = highest;
    }
  }
}

bool is_box(const Candidate& box) {
  return box.left > -kFarthest && box.top > -kFarthest && box.right < kFarthest &&
         box.bottom < kFarthest && box.left < box.right && box.top < box.bottom;
}

// Whether any of eight scores reaches the threshold.
bool any_of_eight(const float* scores) {
  const auto reached = std::bit_cast<Longs2>((load<Floats4>(scores) >= kScoreThreshold) |
                                             (load<Floats4>(scores + 4) >= kScoreThreshold));
  return (reached[0] | reached[1]) != 0;
}

// The anchor's class and box; `score` is its best.
Candidate candidate(const float* output, std::size_t anchor, float score) {
  Candidate box{.score = score, .anchor = static_cast<std::uint32_t>(anchor)};
  const float* const scores = output + 4 * kAnchors + anchor;
  while (scores[static_cast<std::size_t>(box.class_id) * kAnchors] != score) ++box.class_id;
  const float x = output[anchor];
  const float y = output[kAnchors + anchor];
  const float half_width = output[2 * kAnchors + anchor] * 0.5F;
  const float half_height = output[3 * kAnchors + anchor] * 0.5F;
  box.left = x - half_width;
  box.top = y - half_height;
  box.right = x + half_width;
  box.bottom = y + half_height;
  return box;
}

std::vector<Candidate> candidates(const float* output) {
  std::vector<Candidate> found;
  std::array<float, kBlock> best;
  for (std::size_t block = 0; block < kAnchors; block += kBlock) {
    best_scores(output + 4 * kAnchors + block, best.data());
    for (std::size_t group = 0; group < kBlock; group += 8) {
      if (!any_of_eight(&best[group])) continue;  // nearly always
      for (std::size_t i = group; i < group + 8; ++i) {
        if (!(best[i] >= kScoreThreshold)) continue;
        const Candidate box = candidate(output, block + i, best[i]);
        if (is_box(box)) found.push_back(box);
      }
    }
  }
  return found;
}

bool overlap(const Candidate& a, const Candidate& b) {
  const float width = std::min(a.right, b.right) - std::max(a.left, b.left);
  const float height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  if (width <= 0 || height <= 0) return false;
  const float shared = width * height;
  const float area_a = (a.right - a.left) * (a.bottom - a.top);
  const float area_b = (b.right - b.left) * (b.bottom - b.top);
  return shared > kOverlapThreshold * (area_a + area_b - shared);
}

}  // namespace

std::vector<Detection> find_boxes(std::span<const float> output, const Placement& placement,
                                  std::uint32_t frame_width, std::uint32_t frame_height) {
  std::vector<Candidate> boxes = candidates(output.data());
  std::sort(boxes.begin(), boxes.end(), [](const Candidate& a, const Candidate& b) {
    if (a.score != b.score) return a.score > b.score;
    if (a.class_id != b.class_id) return a.class_id < b.class_id;
    return a.anchor < b.anchor;
  });

  // Kept boxes move to the front, where each later one is compared with them.
  std::size_t kept = 0;
  for (std::size_t i = 0; i < boxes.size() && kept < kMaxDetections; ++i) {
    const Candidate box = boxes[i];
    const bool suppressed =
        std::any_of(boxes.begin(), boxes.begin() + static_cast<std::ptrdiff_t>(kept),
                    [&](const Candidate& better) {
                      return better.class_id == box.class_id && overlap(better, box);
                    });
    if (!suppressed) boxes[kept++] = box;
  }

  const auto in_frame = [](float position, std::uint32_t before, float scale, std::uint32_t size) {
    return std::clamp((position - static_cast<float>(before)) * scale, 0.0F,
                      static_cast<float>(size));
  };
  std::vector<Detection> detections;
  detections.reserve(kept);
  for (std::size_t i = 0; i < kept; ++i) {
    const Candidate& box = boxes[i];
    const float left = in_frame(box.left, placement.left, placement.x_scale, frame_width);
    const float top = in_frame(box.top, placement.top, placement.y_scale, frame_height);
    const float right = in_frame(box.right, placement.left, placement.x_scale, frame_width);
    const float bottom = in_frame(box.bottom, placement.top, placement.y_scale, frame_height);
    detections.push_back({box.class_id, box.score, {left, top, right - left, bottom - top}});
  }
  return detections;
}

}  // namespace detect
