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

#include <clang-c/Index.h>

#include "compiler/diagnostics.h"

namespace aloft::compiler {

// The definitions that a module's sources and their headers contain, by the function's unified
// symbol.
using Definitions = std::map<std::string, CXCursor>;

// Adds the functions defined in `root`, a translation unit, outside of system headers.
void collect_definitions(CXCursor root, Definitions& definitions);

// Checks the tagged function that `definition` defines. `definitions` are those of all translation
// units of the module.
void check_body(CXCursor definition, const Definitions& definitions, Diagnostics& diagnostics);

}  // namespace aloft::compiler
