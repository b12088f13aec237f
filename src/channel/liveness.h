// Decides when to send a heartbeat, and when a silent peer is dead.
//
// Silence is the time since the last byte of the peer in which this end was itself awake. A process
// that was stopped, or held by a CPU quota, finds its timer late and old data in the socket; it
// must not blame the peer for its own sleep. So each time the timer comes late by more than
// kTimerSlack, the limit of this silence is extended by as much:
//
//     dead when  now >= last_heard + dead_after + sum of own lateness since last_heard
//
// The caller reads the socket once more before it believes that the peer is dead.
//
// Pure: times are passed in. Thread rule: one at a time (who has the link's role), but for sent()
// and ping_due().
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

namespace aloft::channel {

class Liveness {
 public:
  using Time = std::chrono::steady_clock::time_point;
  enum class Verdict { alive, peer_is_dead };

  // Lateness of a timer up to this is what schedulers do, and no sleep.
  static constexpr std::chrono::milliseconds kTimerSlack{10};

  Liveness(std::chrono::milliseconds heartbeat, std::chrono::milliseconds dead_after, Time now)
      : heartbeat_(heartbeat),
        dead_after_(dead_after),
        last_heard_(now),
        last_sent_(now),
        checked_(now) {}

  // A byte of the peer came.
  void heard(Time now) {
    last_heard_ = now;
    slept_ = {};
  }
  // Something was written. Any thread.
  void sent(Time now) { last_sent_.store(now, std::memory_order_relaxed); }

  // When a heartbeat is due, if nothing is written before. Any thread.
  [[nodiscard]] Time ping_due() const {
    return last_sent_.load(std::memory_order_relaxed) + heartbeat_;
  }

  // When check() is due: at the peer's death, and so soon after the last one, or after the link was
  // made, that a sleep shows. It is in the past where a thread slept before it asked.
  [[nodiscard]] Time check_due() const { return std::min(deadline(), checked_ + heartbeat_); }
  // How the peer is at `now`, by a timer that was set to `due`.
  [[nodiscard]] Verdict check(Time now, Time due);

  [[nodiscard]] Time last_heard() const { return last_heard_; }

 private:
  [[nodiscard]] Time deadline() const { return last_heard_ + dead_after_ + slept_; }

  std::chrono::milliseconds heartbeat_;
  std::chrono::milliseconds dead_after_;
  Time last_heard_;
  std::atomic<Time> last_sent_;
  Time checked_;
  std::chrono::nanoseconds slept_{};
};

}  // namespace aloft::channel
