// Sockets at which the running programs of a user can be asked by other programs of that user:
// `aloft explain`, `aloft trace`, `aloft record`. There is one for each kind of question, named
// after the process, in a folder that no other user can enter; that is all the protection there
// is, and what a user may ask of their own process a debugger could have, too.
//
//   $XDG_RUNTIME_DIR/aloft/PID.KIND       /tmp/aloft-UID/PID.KIND where that is not set
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/descriptor.h"
#include <aloft/result.h>

namespace aloft::ops {

// Of this process's user, as the environment says.
[[nodiscard]] std::filesystem::path user_folder();
// Makes it, if need be. Errors: refused (it belongs to somebody else, or cannot be made).
[[nodiscard]] Result<std::filesystem::path> make_user_folder();

[[nodiscard]] std::filesystem::path user_socket(const std::filesystem::path& folder, pid_t pid,
                                                std::string_view kind);
// The processes that have one of this kind there, rising; also those that ended without removing
// it, until the next listen_for_user() of that kind there.
[[nodiscard]] std::vector<pid_t> processes_with(const std::filesystem::path& folder,
                                                std::string_view kind);

// A socket at user_socket() of these that listens, for this user alone, in place of what has the
// path now. Does not block. Removes those of this kind that nobody listens at any more. Errors:
// refused (it cannot be made), invalid_argument (the path is too long for one).
[[nodiscard]] Result<Descriptor> listen_for_user(const std::filesystem::path& folder, pid_t pid,
                                                 std::string_view kind);
// A connection to it, which does not block. Errors: unreachable (nobody listens), invalid_argument.
[[nodiscard]] Result<Descriptor> connect_to(const std::filesystem::path& socket);

}  // namespace aloft::ops
