// Who has started whom, as the system lists it: for tests that look for a daemon's child.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace aloft::testing {

// Those that any thread of `parent` has started and that are its children still; empty where it has
// ended.
[[nodiscard]] std::vector<pid_t> children_of(pid_t parent);
// What a process is called (15 letters at most); empty where it has ended.
[[nodiscard]] std::string name_of(pid_t process);
// The first child of that name.
[[nodiscard]] std::optional<pid_t> child_of(pid_t parent, std::string_view name);

}  // namespace aloft::testing
