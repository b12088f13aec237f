// How long a daemon waits before it starts a process again that has ended: not at all after one
// that ran for a while; longer and longer for one that ends as soon as it is started, so that what
// cannot run costs its host little, and runs soon after it can again.
#pragma once

#include <algorithm>
#include <chrono>

namespace aloft::host {

// Thread rule: one thread at a time.
class RestartPause {
 public:
  using Duration = std::chrono::milliseconds;
  // One that ends sooner than this after its start counts as one that cannot start.
  static constexpr Duration kTooSoon{1000};
  static constexpr Duration kFirst{100};
  static constexpr Duration kLongest{5000};

  // The process has ended, that long after its start: what to wait now.
  [[nodiscard]] Duration after_end(std::chrono::steady_clock::duration ran) {
    if (ran < kTooSoon) return after_failure();
    return pause_ = Duration{0};
  }
  // It could not be started.
  [[nodiscard]] Duration after_failure() {
    return pause_ = std::clamp(2 * pause_, kFirst, kLongest);
  }

 private:
  Duration pause_{0};
};

}  // namespace aloft::host
