// wasi-nn for guests: the core ABI of `wasi_ephemeral_nn` (github.com/WebAssembly/wasi-nn, the witx
// of the ephemeral phase), written once, above the inference engine.
//
// A handle is an index into a table of its instance. Graphs and execution contexts live as long as
// the instance, which guests count on: wasi-nn has no call that closes one, so a guest makes a
// context once and uses it in every call.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "inference/engine.h"

namespace aloft::runtime {

// wasi-nn's errno.
enum class NnErrno : std::int32_t {
  ok = 0,
  invalid_argument = 1,
  invalid_encoding = 2,
  missing_memory = 3,
  busy = 4,
  runtime_error = 5,
  unsupported_operation = 6,
  too_large = 7,
  not_found = 8,
};

// What one instance holds. Thread rule: the instance's thread.
struct NnTables {
  static constexpr std::size_t kMaxGraphs = 32;
  static constexpr std::size_t kMaxContexts = 64;

  std::vector<std::shared_ptr<inference::Graph>> graphs;
  std::map<std::string, std::uint32_t, std::less<>> graphs_by_name;
  std::vector<std::unique_ptr<inference::Execution>> contexts;
};

}  // namespace aloft::runtime
