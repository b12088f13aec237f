// How fast a quantity changes: over the last kWindow, from its first observation to its last.
//
// Thread rule: one thread at a time.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <utility>

namespace aloft::device {

class Trend {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kWindow{3};
  // Less says nothing.
  static constexpr std::chrono::milliseconds kLeast{500};

  void add(double value, Time at) {
    seen_.emplace_back(at, value);
    // The oldest one kept is the last that is a whole window old.
    while (seen_.size() > 2 && at - seen_[1].first >= kWindow) seen_.pop_front();
  }
  // A second.
  [[nodiscard]] std::optional<double> slope() const {
    if (seen_.size() < 2) return std::nullopt;
    const auto time = seen_.back().first - seen_.front().first;
    if (time < kLeast) return std::nullopt;
    return (seen_.back().second - seen_.front().second) /
           std::chrono::duration<double>(time).count();
  }

 private:
  std::deque<std::pair<Time, double>> seen_;
};

}  // namespace aloft::device
