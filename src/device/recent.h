// Recent observations of one quantity, and its quantiles.
//
// The last kKept observations, of which each counts half as much as the one kHalfLife later. Where
// three in a row lie clearly outside what the ones before were like, on the same side, or two far
// outside, the quantity has changed its level: the ones before are forgotten. So the estimate is
// calm while nothing happens, and follows a change after two or three observations.
//
// Thread rule: one thread at a time. Allocates nothing.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <utility>

namespace aloft::device {

class Recent {
 public:
  using Time = std::chrono::steady_clock::time_point;

  static constexpr std::size_t kKept = 16;
  static constexpr double kHalfLife = 6;  // observations
  // So many in a row, outside by this part of the value.
  struct Change {
    std::size_t outsiders;
    double beyond;
  };
  static constexpr Change kClear{3, 0.10};
  static constexpr Change kFar{2, 0.40};

  void add(double value, Time at) {
    if (is(kClear, value)) {
      keep_last(kClear.outsiders - 1);
    } else if (is(kFar, value)) {
      keep_last(kFar.outsiders - 1);
    }
    if (size_ == kKept) keep_last(kKept - 1);
    values_[size_++] = value;
    last_ = at;
  }

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] Time last() const { return last_; }  // when the newest was made

  // `part`: 0.5 for the median. 0 when there is none.
  [[nodiscard]] double quantile(double part) const { return quantile_of(size_, part); }

 private:
  // Of the first `count`, the newest of which counts most.
  [[nodiscard]] double quantile_of(std::size_t count, double part) const {
    if (count == 0) return 0;
    std::array<std::pair<double, double>, kKept> weighted;  // value, weight
    double all = 0;
    for (std::size_t i = 0; i < count; ++i) {
      weighted[i] = {values_[i], kWeights[count - 1 - i]};
      all += weighted[i].second;
    }
    const auto end = weighted.begin() + static_cast<std::ptrdiff_t>(count);
    std::sort(weighted.begin(), end);
    double seen = 0;
    for (auto at = weighted.begin(); at != end; ++at) {
      seen += at->second;
      if (seen >= part * all) return at->first;
    }
    return (end - 1)->first;
  }

  // Whether the newest ones, and `value`, are all above or all below what was before.
  [[nodiscard]] bool is(const Change& change, double value) const {
    if (size_ < change.outsiders + 2) return false;
    const std::size_t before = size_ - (change.outsiders - 1);
    const double low = quantile_of(before, 0.1) * (1 - change.beyond);
    const double high = quantile_of(before, 0.9) * (1 + change.beyond);
    bool all_low = value < low;
    bool all_high = value > high;
    for (std::size_t i = before; i < size_; ++i) {
      all_low = all_low && values_[i] < low;
      all_high = all_high && values_[i] > high;
    }
    return all_low || all_high;
  }

  void keep_last(std::size_t count) {
    std::copy(values_.begin() + static_cast<std::ptrdiff_t>(size_ - count),
              values_.begin() + static_cast<std::ptrdiff_t>(size_), values_.begin());
    size_ = count;
  }

  // By age in observations.
  static inline const std::array<double, kKept> kWeights = [] {
    std::array<double, kKept> weights{};
    for (std::size_t age = 0; age < kKept; ++age)
      weights[age] = std::exp2(-static_cast<double>(age) / kHalfLife);
    return weights;
  }();

  std::array<double, kKept> values_{};  // oldest first
  std::size_t size_ = 0;
  Time last_;
};

}  // namespace aloft::device
