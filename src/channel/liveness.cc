#include "channel/liveness.h"

#include <algorithm>

namespace aloft::channel {

Liveness::Time Liveness::next() const {
  return std::min(deadline(), last_sent_.load() + heartbeat_);
}

Liveness::Verdict Liveness::check(Time now, Time due) {
  // Only lateness after the last byte counts: what came before it was not silence.
  const auto late = now - std::max(due, last_heard_);
  if (late > kTimerSlack) slept_ += late;
  if (now >= deadline()) return Verdict::peer_is_dead;
  if (now >= last_sent_.load() + heartbeat_) return Verdict::send_ping;
  return Verdict::nothing;
}

}  // namespace aloft::channel
