#include "greet.h"

namespace greet {

std::string greeting(const std::string& name) {
#if defined(__wasm__)
  return "hello, " + name + ", from WebAssembly";
#else
  return "hello, " + name + ", from here";
#endif
}

}  // namespace greet
