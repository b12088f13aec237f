// How much of what was found in a frame is found in another version of it: what an image codec
// costs this application.
#pragma once

#include <cstdint>
#include <vector>

#include "detect.h"

namespace detect {

// Of the objects of one result, those that are in another one as well: of the same class, with an
// overlap (intersection over union) of at least a half, each paired with one at most.
struct Found {
  std::uint64_t found = 0;
  std::uint64_t of = 0;

  void add(const Found& other) {
    found += other.found;
    of += other.of;
  }
  // 1 where there was nothing to be found.
  [[nodiscard]] double recall() const {
    return of == 0 ? 1 : static_cast<double>(found) / static_cast<double>(of);
  }
};
[[nodiscard]] Found find_again(const std::vector<Detection>& expected,
                               const std::vector<Detection>& seen);

// 1 - recall, as an aloft::Loss.
[[nodiscard]] double missed(const std::vector<Detection>& with_codec,
                            const std::vector<Detection>& raw);

}  // namespace detect
