// WebAssembly's text format as a module's bytes, for tests and benchmarks.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "runtime/wasmtime_handles.h"

namespace aloft::runtime::testing {

// Aborts on text that is not a module: the text is the test's own.
inline std::vector<std::byte> wat(std::string_view text) {
  wasm_byte_vec_t bytes;
  if (const ErrorHandle error{wasmtime_wat2wasm(text.data(), text.size(), &bytes)}) {
    std::fprintf(stderr, "%s\n", message_of(*error).c_str());
    std::abort();
  }
  const auto* begin = reinterpret_cast<const std::byte*>(bytes.data);
  std::vector<std::byte> made(begin, begin + bytes.size);
  wasm_byte_vec_delete(&bytes);
  return made;
}

}  // namespace aloft::runtime::testing
