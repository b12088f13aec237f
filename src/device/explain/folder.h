// Where programs of this user that can be asked about their decisions are found: a socket for each,
// named after its process, in a folder that no other user can enter.
//
//   $XDG_RUNTIME_DIR/aloft/PID.sock       /tmp/aloft-UID/PID.sock where that is not set
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include <aloft/result.h>

namespace aloft::device {

// Of this process's user, as the environment says.
[[nodiscard]] std::filesystem::path explain_folder();
// Makes it, if need be. Errors: refused (it belongs to somebody else, or cannot be made).
[[nodiscard]] Result<std::filesystem::path> make_explain_folder();

[[nodiscard]] std::filesystem::path explain_socket(const std::filesystem::path& folder, pid_t pid);
// Beside it, of a process that has the former: when its last calls were (timeline.h).
[[nodiscard]] std::filesystem::path timeline_socket(const std::filesystem::path& folder, pid_t pid);
// The processes that have one there, rising; also those that ended without removing it.
[[nodiscard]] std::vector<pid_t> explained_processes(const std::filesystem::path& folder);

// What the process behind it says: one JSON document. Errors: unreachable (no process listens, or
// it does not answer in time), protocol (its answer is larger than can be).
[[nodiscard]] Result<std::string> ask_to_explain(const std::filesystem::path& socket,
                                                 std::chrono::milliseconds timeout);

}  // namespace aloft::device
