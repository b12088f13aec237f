// What a drive came to, from the frames that its device told of.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "frame.h"

namespace aloft::drive {

using Time = std::chrono::steady_clock::time_point;

// --- Whether anything was lost

struct Account {
  std::uint64_t frames = 0;
  std::uint64_t lost = 0;   // no result, or no line
  std::uint64_t wrong = 0;  // another result than that of its image
};
// `digests`: of each image, digest_of(); empty: results are not compared, as where a codec is
// lossy.
[[nodiscard]] Account account(std::span<const Frame> frames, std::span<const std::string> digests);

// --- How well the policy chose in one stretch of the drive

struct Stretch {
  std::string name;
  Time begin;
  Time end;
};

struct Choices {
  std::string name{};
  std::uint64_t frames = 0;   // of the policy, that began in it
  std::uint64_t at_edge = 0;  // of those
  std::uint64_t tries = 0;
  std::uint64_t fell_back = 0;
  std::uint64_t fixed_frames = 0;  // of each fixed choice
  double policy_ms = 0;            // mean latency
  double here_ms = 0;              // of the choice that is always `here`
  double edge_ms = 0;              // of the other one

  [[nodiscard]] double best_ms() const { return std::min(here_ms, edge_ms); }
  [[nodiscard]] double over_best() const { return policy_ms / best_ms(); }
};
[[nodiscard]] Choices choices(std::span<const Frame> frames, const Stretch& stretch);

// The policy's mean latency over that of the best fixed choice of each stretch, over all frames.
[[nodiscard]] double over_best(std::span<const Choices> stretches);

// --- The way back

// From `healed` to the end of the policy's first frame after it that the edge computed.
[[nodiscard]] std::optional<std::chrono::nanoseconds> way_back(std::span<const Frame> frames,
                                                               Time healed);

}  // namespace aloft::drive
