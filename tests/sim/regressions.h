// Seeds that once showed a defect, by what it was. They stay: what they do depends on how a
// scenario is drawn, which may change, but a run that found something is a good run to repeat.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "scenario.h"

namespace aloft::sim {

struct Regression {
  std::string_view name;  // a sentence, of letters, digits and _
  std::uint64_t seed;
  Plot plot;
};

inline constexpr std::array<Regression, 1> kRegressions{{
    {"a_hedge_that_won_in_time_is_told_when_the_edge_has_let_go", 1, Plot::call},
}};

}  // namespace aloft::sim
