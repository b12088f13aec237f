// How long a function runs at one place, by the size of its input: observations are kept for each
// class of sizes (half an octave), and a size that has none is answered from its neighbours.
//
// Thread rule: one thread at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "device/recent.h"

namespace aloft::device {

class RunTimes {
 public:
  static constexpr std::size_t kClasses = 16;  // at most; the one unused for longest goes

  struct Estimate {
    double p50 = 0;  // seconds
    double p90 = 0;
    std::size_t observations = 0;
    Recent::Time last;
  };

  void add(std::uint64_t bytes, double seconds, Recent::Time at) {
    const int wanted = class_of(bytes);
    auto found = std::ranges::find(classes_, wanted, &Class::number);
    if (found == classes_.end()) {
      if (classes_.size() == kClasses)
        classes_.erase(std::ranges::min_element(classes_, {},
                                                [](const Class& one) { return one.times.last(); }));
      classes_.push_back({.number = wanted, .times = {}});
      found = classes_.end() - 1;
    }
    found->times.add(seconds, at);
  }

  // Of an input of this size; absent when nothing is known. Between two classes that are known, on
  // the line between them; outside of them, as the nearest, by the size where it is larger.
  [[nodiscard]] std::optional<Estimate> estimate(std::uint64_t bytes) const {
    const int wanted = class_of(bytes);
    const Class* below = nullptr;
    const Class* above = nullptr;
    for (const Class& one : classes_) {
      if (one.number == wanted) return of(one);
      if (one.number < wanted && (below == nullptr || one.number > below->number)) below = &one;
      if (one.number > wanted && (above == nullptr || one.number < above->number)) above = &one;
    }
    if (below == nullptr && above == nullptr) return std::nullopt;
    if (below == nullptr) return of(*above);
    Estimate low = of(*below);
    const double size = static_cast<double>(bytes);
    if (above == nullptr) {
      const double larger = std::max(1.0, size / size_of(below->number));
      low.p50 *= larger;
      low.p90 *= larger;
      return low;
    }
    const Estimate high = of(*above);
    const double part = std::clamp(
        (size - size_of(below->number)) / (size_of(above->number) - size_of(below->number)), 0.0,
        1.0);
    return Estimate{.p50 = std::lerp(low.p50, high.p50, part),
                    .p90 = std::lerp(low.p90, high.p90, part),
                    .observations = std::min(low.observations, high.observations),
                    .last = std::min(low.last, high.last)};
  }

 private:
  struct Class {
    int number = 0;
    Recent times;
  };

  [[nodiscard]] static int class_of(std::uint64_t bytes) {
    return static_cast<int>(std::floor(2 * std::log2(static_cast<double>(bytes) + 1)));
  }
  // The middle of the class.
  [[nodiscard]] static double size_of(int number) { return std::exp2((number + 0.5) / 2); }
  [[nodiscard]] static Estimate of(const Class& one) {
    return {.p50 = one.times.quantile(0.5),
            .p90 = one.times.quantile(0.9),
            .observations = one.times.size(),
            .last = one.times.last()};
  }

  std::vector<Class> classes_;
};

}  // namespace aloft::device
