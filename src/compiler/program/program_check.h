// Which functions of a whole program could run at an edge as they are written, and what keeps the
// others from it: the question of somebody who has a program, before anything in it is tagged.
//
// Every function is judged as aloft-cc would judge it if it were tagged, with the same code; what
// it calls is followed through all sources of the program. So that a verdict holds in a module,
// the sources that a module would consist of are read a second time, as a guest's compiler does.
// Calls through pointers and virtual calls are not followed, as in a module.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "compiler/diagnostics.h"
#include "compiler/program/compile_commands.h"
#include <aloft/result.h>

namespace aloft::compiler {

enum class Verdict : std::uint8_t {
  ready,            // tag it
  file_of_its_own,  // it can be offloaded, and something else in its sources cannot
  no,
};

struct CheckedFunction {
  std::string name;
  Location where;
  std::string signature;  // empty with `no`
  Verdict verdict = Verdict::no;
  std::vector<std::string> sources;  // that a module with it would consist of; its own comes first
  // Errors are reasons; the first note of each says what to do. Warnings are told of a function
  // that can be offloaded, too.
  std::vector<Diagnostic> reasons;
};

struct ProgramReport {
  std::filesystem::path root;
  std::size_t sources = 0;                 // in C++: all of them are read
  std::vector<std::string> not_cpp;        // in C and other languages: none of them is
  std::vector<Diagnostic> unread;          // one for each source that does not compile here
  std::vector<CheckedFunction> functions;  // by file and place
};

struct ProgramRequest {
  std::filesystem::path build_folder;  // with compile_commands.json
  std::filesystem::path root;          // only functions below it are told of; empty: the folder
                                       // that all sources have in common
  std::filesystem::path sysroot;       // of guests
  std::string resource_dir;            // the compiler's own headers
  unsigned jobs = 0;                   // sources read at once; 0: one for each processor
  // Told before each source is read: how many were begun, how many are to be, and its name. One
  // call at a time, from several threads.
  std::function<void(std::size_t done, std::size_t all, const std::string& file)> progress;
};

// Errors: as read_compile_commands(); not_found (no sysroot); internal (libclang itself failed).
// Thread rule: one thread. What it says does not depend on how many sources are read at once.
[[nodiscard]] Result<ProgramReport> check_program(const ProgramRequest& request);

}  // namespace aloft::compiler
