// What a guest can do to its host, one function each. Called at an edge only: natively they would
// do it to the test.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <aloft/offload.h>

namespace hostile {

ALOFT_OFFLOAD std::uint32_t loop_for_ever(std::uint32_t seed) {
  volatile std::uint32_t state = seed;
  while (true) state = state + 1;
}

ALOFT_OFFLOAD int give_up(int reason) {
  if (reason > 0) aloft::abort_call("nothing to be done");
  return reason;
}

ALOFT_OFFLOAD int divide(int a, int b) { return a / b; }

ALOFT_OFFLOAD int read_outside(std::uint32_t address) {
  // Past the end of what a guest of 256 MiB can have.
  return *reinterpret_cast<volatile int*>(address);
}

ALOFT_OFFLOAD int recurse(int depth) {
  volatile char frame[4096] = {};
  return depth <= 0 ? frame[0] : recurse(depth + 1) + frame[1];
}

ALOFT_OFFLOAD std::uint64_t allocate_without_end(std::uint32_t chunk) {
  std::uint64_t total = 0;
  std::vector<void*> kept;
  while (void* const memory = std::malloc(chunk)) {
    *static_cast<volatile char*>(memory) = 1;
    kept.push_back(memory);
    total += chunk;
  }
  for (void* const memory : kept) std::free(memory);
  return total;
}

// Whether it got that much at once.
ALOFT_OFFLOAD bool ask_for(std::uint32_t bytes) {
  void* const memory = std::malloc(bytes);
  if (memory == nullptr) return false;
  *static_cast<volatile char*>(memory) = 1;  // else the compiler finds out that nobody needs it
  std::free(memory);
  return true;
}

ALOFT_OFFLOAD int print_without_end(int first) {
  for (std::uint32_t i = static_cast<std::uint32_t>(first);; ++i) std::printf("line %u\n", i);
}

ALOFT_OFFLOAD int answer(int question) { return question + 1; }

}  // namespace hostile
