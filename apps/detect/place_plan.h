// Where each frame is meant to be computed, and which frames make a block of the baseline.
#pragma once

#include <cstdint>

#include "options.h"
#include <aloft/policy.h>

namespace detect {

class PlacePlan {
 public:
  // `frames`: of the whole run, 0 where there is no end.
  PlacePlan(PlaceMode mode, std::uint64_t switch_every, std::uint64_t frames)
      : mode_(mode), switch_every_(switch_every), frames_(frames) {}

  [[nodiscard]] aloft::Place place(std::uint64_t frame) const {
    if (mode_ == PlaceMode::switching)
      return frame / switch_every_ % 2 == 1 ? aloft::Place::edge : aloft::Place::here;
    return mode_ == PlaceMode::remote ? aloft::Place::edge : aloft::Place::here;
  }

  // Whether `block` consecutive frames for the edge begin (end) with this one. Blocks do not
  // overlap, and what is left of a span when no whole one fits belongs to none.
  [[nodiscard]] bool begins_block(std::uint64_t frame, std::uint64_t block) const {
    if (place(frame) != aloft::Place::edge || in_span(frame) % block != 0) return false;
    const bool fits_span = mode_ == PlaceMode::remote || in_span(frame) + block <= switch_every_;
    return fits_span && (frames_ == 0 || frame + block <= frames_);
  }
  [[nodiscard]] bool ends_block(std::uint64_t frame, std::uint64_t block) const {
    return frame + 1 >= block && begins_block(frame + 1 - block, block);
  }

 private:
  [[nodiscard]] std::uint64_t in_span(std::uint64_t frame) const {
    return mode_ == PlaceMode::remote ? frame : frame % switch_every_;
  }

  PlaceMode mode_;
  std::uint64_t switch_every_;
  std::uint64_t frames_;
};

}  // namespace detect
