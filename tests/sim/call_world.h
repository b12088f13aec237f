// One run of a simulation of elastic functions: calls, each by its CallPlan (function/call_plan.h),
// at edges that refuse, fail, are late, vanish with a call or only with its result, and here.
//
// What is promised: the caller is told exactly once, when no run uses its arguments any more; a
// pure call has a result whenever some place could give one in time; one with effects never runs
// twice, and `interrupted` means that it may have run; of a hedged call what ends first wins, and
// the other one is given up; nothing is told as a result after the deadline.
#pragma once

#include "world.h"

namespace aloft::sim {

[[nodiscard]] RunResult run_calls(const RunOptions& options);

}  // namespace aloft::sim
