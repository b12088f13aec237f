// The budget of exploratory calls of one function, and when one is due.
//
// Each call earns a part of a call and a part of its own time; an exploratory call spends one call,
// and the time that it is predicted to take longer than one at the better place. What is saved up
// is bounded, so that a long calm leads to no burst. News of the other place (it has become much
// better, or can be reached again) may be followed before a call is saved up: later calls earn it,
// so that the part of all calls stays what it is. A try in vain (the place was still the worse
// one) doubles the pause before the next, a hint that something has changed shortens it again. A
// try that found the better place, where a worse one was expected, has cost nothing: it gets back
// what it has spent, and the next one may follow at once, until the forecast has changed.
//
// Thread rule: one thread at a time; times are passed in.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace aloft::device {

class Exploration {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Seconds = std::chrono::duration<double>;

  static constexpr double kMostCalls = 4;  // saved up
  static constexpr double kMostDebt = 2;
  static constexpr Seconds kMostTime{2};
  static constexpr Seconds kFirstTime{
      0.5};  // given at the beginning, for a place that nobody has met
  static constexpr Seconds kFirstPause{0.5};
  static constexpr Seconds kLongestPause{8};

  Exploration(double part_of_calls, double part_of_time)
      : part_of_calls_(part_of_calls), part_of_time_(part_of_time) {}

  void earn(Seconds latency) {
    calls_ = std::min(kMostCalls, calls_ + part_of_calls_);
    time_ = std::min(kMostTime, time_ + part_of_time_ * latency);
  }
  enum class Expected : std::uint8_t { worse, better };  // than the present place
  // `known_at`: when the place was last observed.
  [[nodiscard]] bool due(Time now, Time known_at, Seconds cost, Expected expected) const {
    const Seconds pause = expected == Expected::better ? std::max(pause_, kFirstPause) : pause_;
    const double spendable = calls_ + (news_ ? kMostDebt : 0);
    return part_of_calls_ > 0 && spendable >= 1 && time_ >= cost && now - known_at >= pause;
  }
  void spend(Seconds cost) {
    calls_ -= 1;
    time_ -= std::max(cost, Seconds(0));
    news_ = false;
  }
  void in_vain() { pause_ = std::min(kLongestPause, std::max(kFirstPause, 2 * pause_)); }
  void found_better() {
    calls_ += 1;
    pause_ = Seconds(0);
    news_ = true;
  }
  void as_expected() { pause_ = kFirstPause; }
  void hint() { pause_ = kFirstPause; }
  // The other place is much better than it was.
  void news() {
    hint();
    news_ = true;
  }

 private:
  const double part_of_calls_;
  const double part_of_time_;
  double calls_ = 1;  // one at the beginning: the other place has to be met
  Seconds time_ = kFirstTime;
  Seconds pause_ = kFirstPause;
  bool news_ = false;  // since the last exploratory call
};

}  // namespace aloft::device
