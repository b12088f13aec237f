// The best that could have been done: an offline dynamic program that knows the whole trace, down
// to how each single call scatters.
//
// Its states are the frames since the last call at the edge, which decide what the next one there
// costs (world.h); so it pays for changes of place exactly what everybody pays.
#pragma once

#include <cstdint>
#include <vector>

#include "device_model.h"
#include "world.h"
#include <aloft/policy.h>

namespace aloft::bench {

struct Plan {
  std::vector<Place> places;  // of each frame
  double mean_ms = 0;
  std::uint64_t switches = 0;
};

// The least mean latency. Of plans that are as good, one with fewer switches.
[[nodiscard]] Plan best_latency(const World& world);

// The most frames a second, one after the other without a pause, with which the processor stays
// below a temperature wherever the edge is there to help. A second dynamic program, over tenths of
// a degree; it is spared slow starts, so nobody can do better.
[[nodiscard]] double best_rate_below(const World& world, const DevicePower& power,
                                     double limit_celsius);

}  // namespace aloft::bench
