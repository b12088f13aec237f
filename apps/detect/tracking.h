// The tracker as the application uses it: it stands where detect_object's frames are computed, and
// moves when they do.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "detect.h"
#include "tracker.h"
#include <aloft/place.h>
#include <aloft/result.h>

namespace detect {

// What following the frames came to.
struct TrackerMoves {
  std::uint64_t moves = 0;
  std::uint64_t failed = 0;         // the tracker stayed where it was
  std::uint64_t recoveries = 0;     // its place was lost: it was made again, here
  std::vector<double> blackout_ms;  // of each move: in which it answered nowhere
  std::uint64_t state_bytes = 0;    // the largest state that moved
  std::uint64_t identities = 0;     // given over the run
};

// Thread rule: one thread at a time.
class Tracking {
 public:
  // Whose detections these are; `computed`: where they were found. The tracker is brought there
  // first. One that cannot go there answers from where it is, and tries again later; why() then
  // says why, once. Errors: what update() says.
  [[nodiscard]] aloft::Result<std::vector<Track>> track(aloft::Location computed,
                                                        const std::vector<Detection>& detections);
  [[nodiscard]] std::optional<aloft::Error> why() { return std::exchange(why_, std::nullopt); }
  // Of the last track(), without the time at the edge; absent where it was answered here.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> round_trip() const { return round_trip_; }
  [[nodiscard]] const TrackerMoves& moves() const { return moves_; }

 private:
  void follow(aloft::Location computed);

  Tracker tracker_;
  aloft::Location place_ = aloft::Location::here();  // where it answered last
  std::optional<std::chrono::nanoseconds> round_trip_;
  TrackerMoves moves_;
  std::optional<aloft::Error> why_;
  std::chrono::steady_clock::time_point not_before_{};  // the next attempt
};

}  // namespace detect
