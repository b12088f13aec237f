// What one source of a program says about the functions that it defines, kept when the compiler's
// tree is gone: a program has more sources than their trees have room for.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_map>
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

// Which source of a program is the first in its order to have a function of a header, as far as is
// known while many are read at once. Thread rule: any thread.
class FirstSources {
 public:
  // False: a source before this one has it, and what this one says of it is not needed.
  [[nodiscard]] bool may_be_first(const std::string& symbol, std::size_t source);

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::size_t> first_;  // by symbol
};

// A source by its place in the program's order.
struct SourceInOrder {
  FirstSources& first;
  std::size_t number = 0;
};

// Reads `file`. Functions of headers are left out where another source was before, or where `order`
// is null. Errors: internal (libclang itself failed). Thread rule: one thread an index.
[[nodiscard]] Result<UnitFacts> read_unit(const Index& index, const std::string& file,
                                          const std::vector<std::string>& arguments,
                                          const SourceInOrder* order);

}  // namespace aloft::compiler
