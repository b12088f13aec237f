// Who is who: gives the detections of one frame after the other identities that last.
//
// A tracker of the SORT family. Each track predicts where its box is in the next frame (kalman.h);
// detections are assigned to tracks so that the sum of their distances is the smallest
// (assignment.h), first to the tracks that were seen a frame ago, then to those that were not. What
// is left over may be somebody new.
//
// The tracker is an elastic object: it has a state, which moves with it, and computes the same bits
// wherever it is. So the identities of a run do not depend on where its frames were tracked.
#pragma once

#include <cstdint>
#include <vector>

#include "detect.h"
#include "kalman.h"
#include <aloft/object.h>

namespace detect {

inline constexpr std::uint32_t kHitsToBegin = 3;  // frames in a row; then it has an identity
inline constexpr std::uint32_t kMissesToEnd =
    30;  // frames in a row that it stays without being seen

// Of a box's centre, in pixels a frame.
struct Velocity {
  float x = 0;
  float y = 0;
  friend bool operator==(const Velocity&, const Velocity&) = default;
};

// Somebody who is seen in this frame and has been before.
struct Track {
  std::uint64_t id = 0;         // from 1, never given twice
  std::uint32_t detection = 0;  // its index in this frame
  std::int32_t class_id = 0;
  float score = 0;      // the detection's
  Box box;              // as filtered over the frames
  Velocity velocity{};  // the same
  friend bool operator==(const Track&, const Track&) = default;
};

// Somebody who may or may not be seen; between two frames, this is all that is known.
struct Follower {
  std::uint64_t id = 0;  // 0: none yet
  std::int32_t class_id = 0;
  std::uint32_t hits = 0;    // frames in a row that it was seen in, up to kHitsToBegin
  std::uint32_t misses = 0;  // frames in a row since then
  BoxFilter filter;
};

class ALOFT_OFFLOAD_OBJECT Tracker {
 public:
  // The tracks seen in the next frame, by identity, whose detections these are. Detections without
  // an area are left out.
  ALOFT_OFFLOAD std::vector<Track> update(const std::vector<Detection>& detections);

 private:
  std::vector<Follower> followers_;  // in the order of their first detection, hence of identities
  std::uint64_t last_id_ = 0;
  ALOFT_STATE(followers_, last_id_)
};

}  // namespace detect
