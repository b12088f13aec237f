#include "tracking.h"

#include <algorithm>

#include "detect.aloft.h"

namespace detect {
namespace {

using aloft::Location;
using std::chrono::steady_clock;

// After a move that failed; each frame would try again otherwise.
constexpr auto kPause = std::chrono::milliseconds(500);

}  // namespace

aloft::Result<std::vector<Track>> Tracking::track(Location computed,
                                                  const std::vector<Detection>& detections) {
  if (computed != place_) follow(computed);
  auto call = update_async(tracker_, detections);
  auto tracks = call.get();
  if (!tracks) return tracks;
  if (!place_.is_here() && call.record().location.is_here()) ++moves_.recoveries;
  const aloft::CallRecord& record = call.record();
  place_ = record.location;
  round_trip_.reset();
  if (!place_.is_here()) round_trip_ = record.latency - record.edge_run - record.edge_queue;
  for (const Track& track : *tracks) moves_.identities = std::max(moves_.identities, track.id);
  return tracks;
}

void Tracking::follow(Location computed) {
  const auto now = steady_clock::now();
  if (now < not_before_) return;
  const auto moved = aloft::move_to(tracker_, computed);
  if (!moved) {
    ++moves_.failed;
    why_ = moved.error();
    not_before_ = steady_clock::now() + kPause;
    return;
  }
  place_ = computed;
  // It was lost where it was, and is here by itself.
  if (moved->recovery || moved->from == moved->to) {
    ++moves_.recoveries;
    return;
  }
  ++moves_.moves;
  moves_.blackout_ms.push_back(std::chrono::duration<double, std::milli>(moved->blackout).count());
  moves_.state_bytes = std::max(moves_.state_bytes, moved->state_bytes);
}

}  // namespace detect
