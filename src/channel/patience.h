// Whether a thread that waits for bytes looks for them for a moment first, or sleeps at once.
//
// Waking a thread takes tens of microseconds where its processor had nothing else to do, often
// longer than the bytes need to come; but who looks in vain burns as much. So a wait looks first
// where those before it were short: each short one counts for one more look, each long one against,
// and a process that is idle, or whose peer takes its time, sleeps at once but for a look now and
// then, which finds out that the peer has become quick. A wait looks for `most` at the longest, so
// what looking costs is bounded by that for each time that something comes.
//
// Pure: no clock. Thread rule: one at a time.
#pragma once

#include <algorithm>
#include <chrono>

namespace aloft::channel {

class Patience {
 public:
  using Duration = std::chrono::steady_clock::duration;

  // 0: never looks.
  explicit Patience(Duration most) : most_(most) {}

  // How long the wait that begins now is to look before it sleeps.
  [[nodiscard]] Duration begin() {
    if (looks_ > 0) return most_;
    if (++slept_ < kSleepsBetweenLooks) return Duration::zero();
    slept_ = 0;
    return most_;
  }
  // How long it was until there was something.
  void end(Duration waited) {
    if (waited <= most_) {
      looks_ = std::min(looks_ + 1, kMostLooks);
    } else if (looks_ > 0) {
      --looks_;
    } else if (waited <= 2 * most_) {
      looks_ = 1;  // some of it was waking up
    }
  }
  [[nodiscard]] Duration most() const { return most_; }

 private:
  static constexpr int kMostLooks = 8;
  static constexpr int kSleepsBetweenLooks = 64;

  const Duration most_;
  int looks_ = 0;  // that may be in vain before it sleeps at once
  int slept_ = 0;
};

}  // namespace aloft::channel
