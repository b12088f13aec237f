// A frame of the drive: what its device tells of it, in one line of JSON.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "detect.h"
#include <aloft/place.h>
#include <aloft/reason.h>

namespace aloft::drive {

// Who says where a frame is computed: the policy, or a choice that never changes. Frames of the
// fixed choices are made beside those of the policy, so that both meet the same link and the same
// machine.
enum class Chooser : std::uint8_t { policy, always_here, always_edge };

struct Frame {
  std::uint64_t number = 0;  // from 0, over all choosers
  std::uint64_t image = 0;   // of the video, from 0
  Chooser chooser = Chooser::policy;
  std::chrono::steady_clock::time_point began{};  // the same clock in all processes of a machine
  double latency_ms = 0;
  Place place = Place::here;  // where the result was computed
  bool tries = false;         // an exploratory call
  bool fell_back = false;     // the edge failed it
  std::string digest{};       // of what was found: digest_of()
  std::string reason{};
  std::string error{};  // empty, or why the frame has no result: it is lost

  [[nodiscard]] std::chrono::steady_clock::time_point ended() const {
    return began + std::chrono::nanoseconds(static_cast<std::int64_t>(latency_ms * 1e6));
  }
};

[[nodiscard]] std::string to_line(const Frame& frame);
// None: it is no such line.
[[nodiscard]] std::optional<Frame> from_line(std::string_view line);

// The same for the same bits, wherever they were computed.
[[nodiscard]] std::string digest_of(std::span<const detect::Detection> detections);

}  // namespace aloft::drive
