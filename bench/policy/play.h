// Plays a policy through a world: the very Policy and Predictor that a Runtime has, told what a
// Runtime would tell them and nothing else. It has a clock of its own, and no chance.
#pragma once

#include <cstdint>
#include <vector>

#include "device_model.h"
#include "world.h"
#include <aloft/policy.h>

namespace aloft::bench {

struct PlayOptions {
  DevicePower power = kOnWifi;
  // Frames follow each other without a pause, however short they are. Else at the workload's pace.
  enum class Pace : std::uint8_t { of_workload, at_once } pace = Pace::of_workload;
};

struct FramePlayed {
  Place decided = Place::here;
  bool tries = false;
  Place place = Place::here;  // where the result was computed
  double latency_ms = 0;
  double celsius = 0;  // at its end
  bool ready = true;   // the edge was
};

struct Played {
  std::vector<FramePlayed> frames;
  double mean_ms = 0;
  double p90_ms = 0;
  std::uint64_t switches = 0;  // of the place that calls were made for, exploratory ones left out
  std::uint64_t tries = 0;     // exploratory calls
  std::uint64_t failed = 0;    // calls that an edge failed
  double millijoules = 0;      // a frame
  double seconds = 0;          // on the device's clock
};

[[nodiscard]] Played play(const Policy& policy, const World& world,
                          const PlayOptions& options = {});

}  // namespace aloft::bench
