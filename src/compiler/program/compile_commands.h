// The sources of a program and how each is compiled, as its build system wrote it down in
// compile_commands.json, turned into what libclang reads it with: as this machine's compiler does,
// and as a guest's would.
//
// What says how a source is understood is kept: folders, macros, the language, what the processor
// has. The rest (warnings, optimization, output files, options of other compilers) has no part in
// it, and is left out.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <aloft/result.h>

namespace aloft::compiler {

struct CompileCommand {
  std::string file;                // absolute
  std::vector<std::string> host;   // flags, with absolute folders
  std::vector<std::string> guest;  // those of them that mean something to a guest's compiler
};

struct CompileCommands {
  std::vector<CompileCommand> cpp;   // each source with its first command, in the database's order
  std::vector<std::string> not_cpp;  // sources in C and other languages, absolute, in its order
};

// What the database in `folder` names. Errors: not_found (no database there), invalid_argument (it
// cannot be read, or has no C++ source).
[[nodiscard]] Result<CompileCommands> read_compile_commands(const std::filesystem::path& folder);

}  // namespace aloft::compiler
