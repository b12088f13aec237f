#include "verdict.h"

#include <set>

namespace aloft::drive {

Account account(std::span<const Frame> frames, std::span<const std::string> digests) {
  Account made;
  std::set<std::uint64_t> told;
  for (const Frame& frame : frames) {
    made.frames = std::max(made.frames, frame.number + 1);
    if (!frame.error.empty()) continue;
    told.insert(frame.number);
    if (!digests.empty() && frame.digest != digests[frame.image]) ++made.wrong;
  }
  made.lost = made.frames - told.size();
  return made;
}

Choices choices(std::span<const Frame> frames, const Stretch& stretch) {
  Choices made{.name = stretch.name};
  std::uint64_t here = 0;
  std::uint64_t edge = 0;
  for (const Frame& frame : frames) {
    if (frame.began < stretch.begin || frame.began >= stretch.end) continue;
    switch (frame.chooser) {
      case Chooser::policy:
        ++made.frames;
        made.policy_ms += frame.latency_ms;
        made.at_edge += frame.place == Place::edge ? 1U : 0U;
        made.tries += frame.tries ? 1U : 0U;
        made.fell_back += frame.fell_back ? 1U : 0U;
        break;
      case Chooser::always_here:
        ++here;
        made.here_ms += frame.latency_ms;
        break;
      case Chooser::always_edge:
        ++edge;
        made.edge_ms += frame.latency_ms;
        break;
    }
  }
  const auto mean = [](double sum, std::uint64_t count) {
    return count > 0 ? sum / static_cast<double>(count) : 0;
  };
  made.policy_ms = mean(made.policy_ms, made.frames);
  made.here_ms = mean(made.here_ms, here);
  made.edge_ms = mean(made.edge_ms, edge);
  made.fixed_frames = std::min(here, edge);
  return made;
}

double over_best(std::span<const Choices> stretches) {
  double policy = 0;
  double best = 0;
  for (const Choices& each : stretches) {
    policy += each.policy_ms * static_cast<double>(each.frames);
    best += each.best_ms() * static_cast<double>(each.frames);
  }
  return best > 0 ? policy / best : 0;
}

std::optional<std::chrono::nanoseconds> way_back(std::span<const Frame> frames, Time healed) {
  for (const Frame& frame : frames) {
    if (frame.chooser == Chooser::policy && frame.place == Place::edge && frame.ended() > healed)
      return frame.ended() - healed;
  }
  return std::nullopt;
}

}  // namespace aloft::drive
