// aloft-cc check: the command line of program_check.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <aloft/result.h>

namespace aloft::compiler {

enum class ReportFormat : std::uint8_t { text, json, sarif };

struct CheckCommand {
  std::filesystem::path build_folder;
  std::filesystem::path root;     // empty: what the sources have in common
  std::filesystem::path sysroot;  // empty: made from what is installed
  std::string resource_dir;
  std::filesystem::path output;  // empty: standard output
  ReportFormat format = ReportFormat::text;
  unsigned jobs = 0;    // sources read at once; 0: one for each processor
  std::string version;  // of this program
};

// Writes the report; what is going on goes to standard error where that is a terminal. Errors: as
// check_program(); internal (the output cannot be written).
[[nodiscard]] Result<void> run_check(const CheckCommand& command);

}  // namespace aloft::compiler
