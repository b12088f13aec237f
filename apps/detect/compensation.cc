#include "compensation.h"

#include <algorithm>
#include <cmath>

namespace detect {
namespace {

BoxError mean(const BoxError& sum, std::uint64_t boxes) {
  if (boxes == 0) return {};
  const auto count = static_cast<double>(boxes);
  return {.not_covered = sum.not_covered / count, .centre_pixels = sum.centre_pixels / count};
}

}  // namespace

Track carried(const Track& track, std::uint64_t frames) {
  Track moved = track;
  moved.box.x += track.velocity.x * static_cast<float>(frames);
  moved.box.y += track.velocity.y * static_cast<float>(frames);
  return moved;
}

double intersection_over_union(const Box& a, const Box& b) {
  const auto area = [](double width, double height) {
    return std::max(width, 0.0) * std::max(height, 0.0);
  };
  const auto shared_length = [](double from, double length, double other, double other_length) {
    return std::min(from + length, other + other_length) - std::max(from, other);
  };
  const double shared =
      area(shared_length(a.x, a.width, b.x, b.width), shared_length(a.y, a.height, b.y, b.height));
  const double both = area(a.width, a.height) + area(b.width, b.height) - shared;
  return both > 0 ? shared / both : 0;
}

std::vector<Track> Compensation::show(const std::vector<Track>& tracks, std::uint64_t of,
                                      std::uint64_t now) {
  if (now == of) return tracks;
  std::vector<Track> moved;
  moved.reserve(tracks.size());
  for (const Track& track : tracks) moved.push_back(carried(track, now - of));
  shown_.push_back({.frame = now, .age = now - of, .as_they_were = tracks});
  return moved;
}

void Compensation::judge(std::uint64_t frame, std::span<const Track> tracks,
                         std::span<const Detection> detections) {
  for (; !shown_.empty() && shown_.front().frame <= frame; shown_.pop_front()) {
    const Shown& shown = shown_.front();
    if (shown.frame != frame) continue;
    ++frames_;
    ages_ += shown.age;
    for (const Track& before : shown.as_they_were) {
      const auto now = std::ranges::find(tracks, before.id, &Track::id);
      if (now == tracks.end() || now->detection >= detections.size()) continue;
      // The detection, not the filtered box: a filter agrees with its own predictions.
      const Box& seen = detections[now->detection].box;
      ++boxes_;
      add(carried_, carried(before, shown.age).box, seen);
      add(as_they_were_, before.box, seen);
    }
  }
}

CompensationReport Compensation::report() const {
  return {.frames = frames_,
          .boxes = boxes_,
          .age_frames = frames_ > 0 ? static_cast<double>(ages_) / static_cast<double>(frames_) : 0,
          .carried = mean(carried_, boxes_),
          .as_they_were = mean(as_they_were_, boxes_)};
}

void Compensation::add(BoxError& sum, const Box& shown, const Box& seen) {
  const auto centre = [](float from, float length) {
    return static_cast<double>(from) + static_cast<double>(length) / 2;
  };
  sum.not_covered += 1 - intersection_over_union(shown, seen);
  sum.centre_pixels += std::hypot(centre(shown.x, shown.width) - centre(seen.x, seen.width),
                                  centre(shown.y, shown.height) - centre(seen.y, seen.height));
}

}  // namespace detect
