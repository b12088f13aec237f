// Where translated guests are entered and left: a trap of theirs comes back to whoever entered, on
// the same thread, as a value. The functions that their code calls
// (aloft/detail/translated/wasm-rt.h) are behind it.
//
// A trap is a longjmp over the frames of the guest's C code. Nothing of C++ is ever between: a host
// function returns before its caller is left.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <aloft/detail/translated/module.h>
#include <aloft/result.h>

namespace aloft::device {

struct GuestLimits {
  std::uint64_t memory_bytes = 0;    // linear memory; memory.grow beyond it fails
  std::uint32_t table_elements = 0;  // the same for tables
};

// How a guest was left.
struct GuestExit {
  wasm_rt_trap_t trap = WASM_RT_TRAP_NONE;
  bool over_limit = false;  // it wanted more memory from the start than it may have
};

// Calls `body(argument)`, which enters the guest's code and has nothing to destroy. Guests do not
// nest on a thread.
[[nodiscard]] GuestExit enter_guest(const GuestLimits& limits, void (*body)(void*), void* argument);

// The lowest address that frames of a guest may begin at when this thread enters it now: so far
// down that the frames of host functions fit below. Errors: resource_exhausted (too little is left
// of the thread's stack), refused (this is another stack than the thread began with).
[[nodiscard]] Result<std::uintptr_t> guest_stack_end();

}  // namespace aloft::device
