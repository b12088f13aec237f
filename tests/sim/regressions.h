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

inline constexpr auto kRegressions = std::to_array<Regression>({
    {"a_new_version_does_not_run_again_what_the_old_one_answered", 1092, Plot::stateful},
    {"a_copy_on_its_way_for_a_checkpoint_is_not_the_last_one_of_a_move", 350, Plot::stateful},
    {"traps_behind_a_message_that_is_late_do_not_end_the_channel", 72661, Plot::stateless},
    {"a_full_log_asks_again_for_a_state_that_could_not_be_saved", 128711, Plot::stateful},
});

}  // namespace aloft::sim
