// Hiding latency: a result that is older than the frame on show has its boxes carried forward to
// now, each at the velocity that the tracker's filter knows of it.
//
// With K frames under way, the newest result is K - 1 frames old when it comes. Shown as it is, the
// boxes trail behind whoever moves. What that costs, and what carrying them saves, is measured: the
// frame's own result comes a little later, and says where the boxes were to be drawn.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "detect.h"
#include "tracker.h"

namespace detect {

// The track as it is expected to be `frames` frames after the one it was seen in. Its size stays:
// how a box grows is known too badly to be carried on.
[[nodiscard]] Track carried(const Track& track, std::uint64_t frames);

// Shared area over the area of both, 0..1.
[[nodiscard]] double intersection_over_union(const Box& a, const Box& b);

// How far boxes were from where they belong, as means over all of them.
struct BoxError {
  double not_covered = 0;    // 1 - intersection over union with the detection of the frame itself
  double centre_pixels = 0;  // between the two centres
};

struct CompensationReport {
  std::uint64_t frames = 0;  // shown with the result of an older one
  std::uint64_t boxes = 0;   // on them, of those who were seen in both
  double age_frames = 0;     // of the results, mean
  BoxError carried;          // as they were shown
  BoxError as_they_were;     // as they would have been without
};

// Thread rule: one thread at a time.
class Compensation {
 public:
  // What to show on frame `now`, which has no result yet: the tracks of frame `of` carried on. Kept
  // until that frame's result comes. With `now` == `of` nothing is carried or kept.
  [[nodiscard]] std::vector<Track> show(const std::vector<Track>& tracks, std::uint64_t of,
                                        std::uint64_t now);
  // The result of `frame` itself, by which all that was shown on it is judged. Frames come in
  // their order.
  void judge(std::uint64_t frame, std::span<const Track> tracks,
             std::span<const Detection> detections);
  [[nodiscard]] CompensationReport report() const;

 private:
  struct Shown {
    std::uint64_t frame;
    std::uint64_t age;
    std::vector<Track> as_they_were;
  };
  static void add(BoxError& sum, const Box& shown, const Box& seen);

  std::deque<Shown> shown_;  // by frame, at most as many as there are frames under way
  std::uint64_t frames_ = 0;
  std::uint64_t boxes_ = 0;
  std::uint64_t ages_ = 0;
  BoxError carried_;  // sums
  BoxError as_they_were_;
};

}  // namespace detect
