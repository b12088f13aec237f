// Detections for tests of the tracker.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "detect.h"

namespace detect::testing {

inline Detection person(float x, float y = 100, float width = 30, float height = 70) {
  return {.class_id = 0, .score = 0.9F, .box = {x, y, width, height}};
}

// A street of people who come and go, seen by a detector that misses, sees double and trembles.
class Street {
 public:
  explicit Street(std::uint32_t seed) : random_(seed) {}

  std::vector<Detection> next() {
    if (random_() % 20 == 0 || walkers_.size() < 8) {
      walkers_.push_back({between(0, 700), between(50, 500), between(-4, 4), between(-1, 1)});
    }
    std::vector<Detection> seen;
    for (Walker& walker : walkers_) {
      walker.x += walker.dx;
      walker.y += walker.dy;
      if (random_() % 10 == 0) continue;
      const int times = random_() % 25 == 0 ? 2 : 1;
      for (int i = 0; i < times; ++i) {
        seen.push_back(person(walker.x + between(-2, 2), walker.y + between(-2, 2),
                              28 + between(-2, 2), 70 + between(-4, 4)));
      }
    }
    std::erase_if(walkers_, [](const Walker& each) { return each.x < -40 || each.x > 760; });
    std::ranges::shuffle(seen, random_);
    return seen;
  }

 private:
  struct Walker {
    float x, y, dx, dy;
  };
  float between(float low, float high) {
    return low + (high - low) * static_cast<float>(random_() % 4096) / 4096;
  }
  std::mt19937 random_;
  std::vector<Walker> walkers_;
};

}  // namespace detect::testing
