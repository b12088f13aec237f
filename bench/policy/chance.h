// Random numbers with the distributions that traces are made of; the same on every machine.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

#include "sim/random.h"

namespace aloft::bench {

class Chance {
 public:
  explicit Chance(std::uint64_t seed) : random_(seed) {}

  double uniform() { return static_cast<double>(random_.next() >> 11U) * 0x1p-53; }  // 0..1
  double between(double low, double high) { return low + (high - low) * uniform(); }
  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }
  // A factor around 1, whose logarithm has this standard deviation.
  double factor(double deviation) { return std::exp(deviation * normal()); }
  double exponential(double mean) { return -mean * std::log(1 - uniform()); }

 private:
  sim::Random random_;
};

// A factor around 1 that wanders: its logarithm is an Ornstein-Uhlenbeck process.
class Wandering {
 public:
  // `deviation`: of the logarithm, over a long time. `memory_s`: after it, e-1 of a deviation is
  // left.
  Wandering(double deviation, double memory_s) : deviation_(deviation), memory_s_(memory_s) {}

  double next(Chance& chance, double step_s) {
    if (!begun_) {
      value_ = deviation_ * chance.normal();
      begun_ = true;
    } else {
      const double kept = std::exp(-step_s / memory_s_);
      value_ = kept * value_ + deviation_ * std::sqrt(1 - kept * kept) * chance.normal();
    }
    return std::exp(value_);
  }

 private:
  double deviation_;
  double memory_s_;
  double value_ = 0;
  bool begun_ = false;
};

}  // namespace aloft::bench
