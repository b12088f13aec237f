// Faults planted in the protocols on purpose, to prove that the simulation's contract notices them.
//
// A build has them only with ALOFT_MUTATIONS (a variant of the libraries that tests alone link);
// everywhere else mutated() is a constant false and leaves no code behind.
#pragma once

#include <string_view>

namespace aloft {

#if defined(ALOFT_MUTATIONS)
// The one that is planted now; empty: none. Set before the code runs.
inline constinit std::string_view planted_mutation{};
[[nodiscard]] inline bool mutated(std::string_view name) { return planted_mutation == name; }
#else
[[nodiscard]] consteval bool mutated(std::string_view) { return false; }
#endif

}  // namespace aloft
