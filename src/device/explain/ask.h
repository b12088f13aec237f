// Asks a running program of this user what it has decided, and why, or when its last calls were.
// socket.h is what answers; where it is found says ops/user_socket.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include <aloft/result.h>

namespace aloft::device {

enum class About : std::uint8_t { decisions, timeline };

// As ops/user_socket.h has it.
[[nodiscard]] std::string_view socket_kind(About about);
[[nodiscard]] std::filesystem::path explain_socket(const std::filesystem::path& folder, pid_t pid,
                                                   About about);
// The processes of this user that can be asked, rising; also those that ended without removing
// their socket.
[[nodiscard]] std::vector<pid_t> explained_processes();

// What the process says: one JSON document. Errors: unreachable (no such process listens, or it
// does not answer in time), protocol (its answer is larger than can be).
[[nodiscard]] Result<std::string> ask_to_explain(pid_t pid, About about,
                                                 std::chrono::milliseconds timeout);

}  // namespace aloft::device
