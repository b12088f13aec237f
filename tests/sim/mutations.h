// All faults that can be planted in the protocols, and that the simulation has to notice.
#pragma once

#include <vector>

#include "channel/mutations.h"

namespace aloft::sim {

[[nodiscard]] inline std::vector<Mutation> all_mutations() {
  std::vector<Mutation> all(kMutations.begin(), kMutations.end());
  // Of function/call_plan.cc.
  all.push_back({"call_forgets_its_deadline", "a call's deadline is neither watched nor checked"});
  all.push_back({"call_with_effects_runs_again",
                 "a call with effects goes to the next place although it may have run"});
  all.push_back({"call_tells_what_it_gave_up",
                 "the answer of an edge is told although the call was given up before"});
  return all;
}

}  // namespace aloft::sim
