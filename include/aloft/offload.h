// The tag that makes a function elastic, and the one way out of a call that cannot go on.
//
// ALOFT_OFFLOAD stands before a function's declaration or definition. The function stays an
// ordinary function: without aloft-cc the tag means nothing. With aloft_add_module() its definition
// becomes a native version, a WebAssembly version and a dispatching function of the original
// signature, so that every call to it may run here or at an edge. The function must be pure: it may
// be run again elsewhere when the first place fails.
//
// ALOFT_OFFLOAD_ONCE in its place says that the function has effects: it is never run twice, and
// its caller is told `interrupted` when it cannot be known whether it ran.
#pragma once

#include <string_view>

#if defined(__clang__)
#define ALOFT_OFFLOAD [[clang::annotate("aloft::offload")]]
#define ALOFT_OFFLOAD_ONCE [[clang::annotate("aloft::offload_once")]]
#else
#define ALOFT_OFFLOAD
#define ALOFT_OFFLOAD_ONCE
#endif

namespace aloft {

// Ends the current elastic call with `message`: in a guest as a trap that names it, natively as
// aloft::CallFailed thrown through the function to the dispatcher. For what the function's result
// type cannot say.
[[noreturn]] void abort_call(std::string_view message);

}  // namespace aloft
