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

inline constexpr std::array<Regression, 4> kRegressions{{
    {"a_new_version_does_not_run_again_what_the_old_one_answered", 34, Plot::stateful},
    {"a_copy_on_its_way_for_a_checkpoint_is_not_the_last_one_of_a_move", 755, Plot::stateful},
    {"a_run_that_is_repeated_and_fails_loses_its_place_and_not_the_channel", 3319, Plot::stateful},
    {"a_hedge_that_won_in_time_is_told_when_the_edge_has_let_go", 1, Plot::call},
}};

}  // namespace aloft::sim
