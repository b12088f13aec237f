#include "channel/liveness.h"

#include <algorithm>

namespace aloft::channel {

Liveness::Verdict Liveness::check(Time now, Time due) {
  // Only lateness after the last byte counts: what came before it was not silence.
  const auto late = now - std::max(due, last_heard_);
  if (late > kTimerSlack) slept_ += late;
  checked_ = now;
  return now >= deadline() ? Verdict::peer_is_dead : Verdict::alive;
}

}  // namespace aloft::channel
