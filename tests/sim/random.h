// The one source of chance of a run: the same seed gives the same numbers on every machine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "channel/fixed_end.h"

namespace aloft::sim {

using channel::Duration;
using channel::Time;

// Scrambles 64 bits (the finaliser of splitmix64); every bit of the answer depends on every bit.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t value) {
  value += 0x9E37'79B9'7F4A'7C15U;
  value = (value ^ (value >> 30U)) * 0xBF58'476D'1CE4'E5B9U;
  value = (value ^ (value >> 27U)) * 0x94D0'49BB'1331'11EBU;
  return value ^ (value >> 31U);
}

// xoshiro256**, which std::mt19937_64 is not used for since its distributions differ between
// standard libraries.
class Random {
 public:
  explicit Random(std::uint64_t seed) {
    for (std::uint64_t& word : state_) word = seed = mix(seed);
  }

  std::uint64_t next() {
    const std::uint64_t result = rotate(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17U;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotate(state_[3], 45);
    return result;
  }

  // Below `bound`, which is not 0; the slight bias of the remainder does no harm here.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  // Both ends included.
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return low + below(high - low + 1);
  }
  std::size_t size_between(std::size_t low, std::size_t high) {
    return static_cast<std::size_t>(between(low, high));
  }
  Duration between(Duration low, Duration high) {
    return low + Duration(below(static_cast<std::uint64_t>((high - low).count()) + 1));
  }
  // Mostly near `low`, seldom near `high`.
  Duration skewed(Duration low, Duration high) {
    const auto range = static_cast<std::uint64_t>((high - low).count()) + 1;
    return low + Duration(below(below(below(range) + 1) + 1));
  }
  // With a probability of `per_mille` in 1000.
  bool chance(std::uint64_t per_mille) { return below(1000) < per_mille; }

 private:
  static constexpr std::uint64_t rotate(std::uint64_t value, unsigned bits) {
    return (value << bits) | (value >> (64 - bits));
  }

  std::array<std::uint64_t, 4> state_{};
};

}  // namespace aloft::sim
