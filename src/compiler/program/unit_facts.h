// What one source of a program says about the functions that it defines, kept when the compiler's
// tree is gone: a program has more sources than their trees have room for.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "compiler/body_check.h"
#include "compiler/clang_ast.h"
#include "compiler/diagnostics.h"
#include <aloft/result.h>

namespace aloft::compiler {

// One function, as if it were tagged ALOFT_OFFLOAD.
struct FunctionFacts {
  std::string symbol;
  std::string name;  // qualified
  Location where;
  bool is_function = false;             // a free function or a method: what could be tagged at all
  bool is_in_header = false;            // defined there, and so in many sources
  std::string signature;                // empty: its declaration cannot be offloaded
  std::vector<Diagnostic> declaration;  // what is said about that
  BodyFacts body;
};

struct UnitFacts {
  std::string file;
  std::vector<Diagnostic> errors;  // the compiler's own
  std::vector<FunctionFacts> functions;
};

// Reads `file`. Functions of headers whose symbols are in `known` are left out; the others are
// added to it. Where it is null, all of them are left out. Errors: internal (libclang itself
// failed).
[[nodiscard]] Result<UnitFacts> read_unit(const Index& index, const std::string& file,
                                          const std::vector<std::string>& arguments,
                                          std::set<std::string>* known);

}  // namespace aloft::compiler
