// Whether what a tagged function does can be done in a guest and be done again: looks into its
// body, and into the body of every function of the module's sources and their headers that it
// calls, directly or not.
//
// What the tree shows is checked: calls through pointers, virtual calls and functions of libraries
// are not looked into.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include <clang-c/Index.h>

#include "compiler/diagnostics.h"

namespace aloft::compiler {

// The definitions that a module's sources and their headers contain, by the function's unified
// symbol.
using Definitions = std::map<std::string, CXCursor>;

// Adds the functions defined in `root`, a translation unit, outside of system headers.
void collect_definitions(CXCursor root, Definitions& definitions);

// The name by which a function is the same in every translation unit; of an instance of a template,
// the template's.
[[nodiscard]] std::string symbol_of(CXCursor function);

// A call, or another mention, of a function that is not looked into here.
struct Callee {
  std::string symbol;
  std::string name;               // qualified
  Location use;                   // where it is mentioned
  Location declared;              // where it is declared
  bool is_of_system = false;      // declared in a system header
  bool needs_definition = false;  // no header can define it: some source or library has to
};

// What one function's body holds.
struct BodyFacts {
  std::vector<Diagnostic> findings;  // what no guest can do, or not again
  std::vector<Callee> callees;       // in the order of their mention, with repetitions
};
// Looks into the body that `definition` has, and into no other.
[[nodiscard]] BodyFacts examine_body(CXCursor definition);

// Checks the tagged function that `definition` defines. `definitions` are those of all translation
// units of the module.
void check_body(CXCursor definition, const Definitions& definitions, Diagnostics& diagnostics);

}  // namespace aloft::compiler
