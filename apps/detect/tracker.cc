#include "tracker.h"

#include <algorithm>
#include <cstddef>

#include "assignment.h"

namespace detect {
namespace {

// 99 % of the boxes of somebody are nearer to where the filter expects them (chi-square, four
// degrees of freedom).
constexpr double kGate = 13.277;
// A box that covers this share of an expected one may be it, however surprised the filter is.
constexpr double kOverlap = 0.3;
constexpr double kCostScale = 1 << 20;
// More than any admissible pair costs: who can be assigned, is.
constexpr std::int64_t kCostOfNone = std::int64_t{2} << 20;

struct Overlap {
  double of_union = 0;     // shared area / area of both
  double generalized = 0;  // less the share of the smallest box around both that neither covers
};

Overlap overlap(const Box& a, const Box& b) {
  const auto at = [](float value) { return static_cast<double>(value); };
  const double a_right = at(a.x) + at(a.width);
  const double a_bottom = at(a.y) + at(a.height);
  const double b_right = at(b.x) + at(b.width);
  const double b_bottom = at(b.y) + at(b.height);
  const double width = std::max(std::min(a_right, b_right) - std::max(at(a.x), at(b.x)), 0.0);
  const double height = std::max(std::min(a_bottom, b_bottom) - std::max(at(a.y), at(b.y)), 0.0);
  const double shared = width * height;
  const double both = at(a.width) * at(a.height) + at(b.width) * at(b.height) - shared;
  const double around = (std::max(a_right, b_right) - std::min(at(a.x), at(b.x))) *
                        (std::max(a_bottom, b_bottom) - std::min(at(a.y), at(b.y)));
  const double of_union = shared / both;
  return {of_union, of_union - (around - both) / around};
}

Velocity velocity_of(const BoxFilter& filter) {
  return {static_cast<float>(filter.axes[0].velocity), static_cast<float>(filter.axes[1].velocity)};
}

bool has_area(const Box& box) {
  // Not infinite, either: no box of a picture is anywhere near this.
  constexpr float kFarthest = 1e9F;
  return box.x > -kFarthest && box.x < kFarthest && box.y > -kFarthest && box.y < kFarthest &&
         box.width > 0 && box.width < kFarthest && box.height > 0 && box.height < kFarthest;
}

// Of a pair of somebody and a detection.
std::int64_t cost(const Follower& follower, const Detection& detection) {
  if (follower.class_id != detection.class_id) return kInadmissible;
  const Overlap over = overlap(box_of(follower.filter), detection.box);
  const bool admissible =
      over.of_union >= kOverlap || surprise(follower.filter, detection.box) <= kGate;
  if (!admissible) return kInadmissible;
  // From 0 (the same box) to 1 (far away).
  const double distance = std::clamp((1 - over.generalized) / 2, 0.0, 1.0);
  return static_cast<std::int64_t>(distance * kCostScale);
}

// Who got which detection, and which are left.
struct Matches {
  std::vector<std::int32_t> detection_of;  // by follower; kUnassigned: none
  std::vector<std::uint32_t> left;         // detections, rising
};

void match(const std::vector<Follower>& followers, const std::vector<std::uint32_t>& chosen,
           const std::vector<Detection>& detections, Matches& matches) {
  Costs costs(chosen.size(), matches.left.size());
  for (std::size_t row = 0; row < costs.rows; ++row) {
    for (std::size_t column = 0; column < costs.columns; ++column) {
      costs.at(row, column) = cost(followers[chosen[row]], detections[matches.left[column]]);
    }
  }
  const std::vector<std::int32_t> assigned = assign(costs, kCostOfNone);
  std::vector<bool> taken(matches.left.size(), false);
  for (std::size_t row = 0; row < assigned.size(); ++row) {
    if (assigned[row] == kUnassigned) continue;
    const auto column = static_cast<std::size_t>(assigned[row]);
    taken[column] = true;
    matches.detection_of[chosen[row]] = static_cast<std::int32_t>(matches.left[column]);
  }
  std::vector<std::uint32_t> left;
  for (std::size_t column = 0; column < taken.size(); ++column) {
    if (!taken[column]) left.push_back(matches.left[column]);
  }
  matches.left = left;
}

}  // namespace

std::vector<Track> Tracker::update(const std::vector<Detection>& detections) {
  Matches matches;
  matches.detection_of.assign(followers_.size(), kUnassigned);
  for (std::uint32_t i = 0; i < detections.size(); ++i) {
    if (has_area(detections[i].box)) matches.left.push_back(i);
  }

  // Who was seen a frame ago comes first: somebody hidden behind another one does not get the other
  // one's box.
  std::vector<std::uint32_t> seen;
  std::vector<std::uint32_t> missed;
  for (std::uint32_t i = 0; i < followers_.size(); ++i) {
    predict(followers_[i].filter);
    (followers_[i].misses == 0 ? seen : missed).push_back(i);
  }
  match(followers_, seen, detections, matches);
  match(followers_, missed, detections, matches);

  std::vector<Track> tracks;
  std::vector<Follower> kept;
  for (std::size_t i = 0; i < followers_.size(); ++i) {
    Follower follower = followers_[i];
    if (matches.detection_of[i] == kUnassigned) {
      hold_size(follower.filter);
      ++follower.misses;
      if (follower.id != 0 && follower.misses <= kMissesToEnd) kept.push_back(follower);
      continue;
    }
    const auto index = static_cast<std::uint32_t>(matches.detection_of[i]);
    const Detection& detection = detections[index];
    correct(follower.filter, detection.box);
    follower.misses = 0;
    follower.hits = std::min(follower.hits + 1, kHitsToBegin);
    if (follower.id == 0 && follower.hits == kHitsToBegin) follower.id = ++last_id_;
    kept.push_back(follower);
    if (follower.id != 0) {
      tracks.push_back({follower.id, index, follower.class_id, detection.score,
                        box_of(follower.filter), velocity_of(follower.filter)});
    }
  }
  for (const std::uint32_t index : matches.left) {
    const Detection& detection = detections[index];
    kept.push_back({.id = 0,
                    .class_id = detection.class_id,
                    .hits = 1,
                    .misses = 0,
                    .filter = filter_of(detection.box)});
  }
  followers_ = kept;
  return tracks;
}

}  // namespace detect
