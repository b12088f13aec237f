// The programs of this build, as tests run them: to their end, or, of a cluster on this machine,
// until the test is over.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "support/process.h"
#include <aloft/result.h>

namespace aloft::testing {

// Its path.
[[nodiscard]] std::string program(std::string_view name);
// Of the line that says where something listens: the port, or the address.
[[nodiscard]] std::string last_word(const std::string& line);

struct Ran {
  int status = -1;  // -1: it did not start, or did not end in time; `error` says so
  std::string output{}, error{};
};
// Returns when it has ended.
[[nodiscard]] Ran run(std::vector<std::string> command, ProcessOptions options = {});
// The command `aloft`.
[[nodiscard]] Ran run_aloft(std::vector<std::string> arguments, ProcessOptions options = {});

// A cluster as `aloft up` starts it; ends with its process.
struct ClusterUp {
  Process process;
  std::string manager;  // HOST:PORT
};
// In `folder`, with these modules (files) in its repository. Returns when it is up. Errors:
// internal, with what it said.
[[nodiscard]] Result<ClusterUp> aloft_up(const std::filesystem::path& folder,
                                         const std::vector<std::string>& modules);

}  // namespace aloft::testing
