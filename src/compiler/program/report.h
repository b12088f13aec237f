// What `aloft check` says: for people, as JSON, and as SARIF 2.1.0, which code hosts and editors
// show at the lines that it is about.
#pragma once

#include <cstdint>
#include <string>

#include "compiler/program/program_check.h"

namespace aloft::compiler {

// Lines that editors can jump from, and a count. Files are told as from the report's root.
[[nodiscard]] std::string to_text(const ProgramReport& report);

// {"root", "sources", "not_cpp": [files], "unread": [...], "functions": [{"name", "file", "line",
// "column", "verdict", "signature", "sources", "reasons": [{"rule", "severity", "file", "line",
// "column", "message", "remedy"}]}], "summary": {"ready", "file_of_its_own", "no", "rules": {id:
// functions}}}
[[nodiscard]] std::string to_json(const ProgramReport& report);

// One result a reason, and one for each function that can be offloaded as it is. `version` is the
// tool's.
[[nodiscard]] std::string to_sarif(const ProgramReport& report, const std::string& version);

}  // namespace aloft::compiler
