// How much of a proof is run: tests that have a short and a long form ask here. `./dev test --full`
// sets ALOFT_FULL; a test of which there is only a long form has the label `full`.
#pragma once

#include <cstdlib>

namespace aloft::testing {

enum class Extent : bool { brief, full };

[[nodiscard]] inline Extent extent() {
  return std::getenv("ALOFT_FULL") != nullptr ? Extent::full : Extent::brief;
}

// The number that belongs to the extent of this run.
template <class T>
[[nodiscard]] T by_extent(T brief, T full) {
  return extent() == Extent::full ? full : brief;
}

}  // namespace aloft::testing
