// What no module uses is not linked into one: a guest has no such function.
#include <cstdlib>

int of_this_machine_alone() {
#if defined(__wasm__)
  extern int there_is_no_such_function();
  return there_is_no_such_function();
#else
  return std::system(nullptr);
#endif
}
