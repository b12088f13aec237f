// A value of every type that crosses, for tests that send it there and back.
#pragma once

#include <cstdint>
#include <string>

#include "probe.h"

namespace aloft::testing {

inline probe::Everything one_of_each() {
  probe::Everything all;
  all.flag = true;
  all.small = -7;
  all.large = std::uint64_t{1} << 63U;
  all.single = 1.5F;
  all.twice = -2.25;
  all.colour = probe::Colour::green;
  all.text = std::string(1000, 'x') + "\n";
  all.numbers = {1, -2, 3};
  all.words = {"", "word"};
  all.corners = {probe::Point{1, 2}, probe::Point{3, 4}};
  all.maybe = probe::Point{5, 6};
  all.pair = {-1, "minus one"};
  all.tuple = {std::int16_t{-300}, 0.125};
  all.counts = {{"one", 1}, {"two", 2}};
  return all;
}

}  // namespace aloft::testing
