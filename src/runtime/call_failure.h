// How a call into a guest fails: by the guest's own doing (a Trap) or the host's (an Error). Kept
// apart, since what follows differs: a guest that trapped would trap again, and its instance is no
// longer to be trusted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <aloft/result.h>

namespace aloft::runtime {

enum class TrapKind : std::uint8_t {
  unreachable,    // abort, failed assertion, aloft::abort_call
  out_of_bounds,  // memory or table access
  stack_overflow,
  arithmetic,   // division by zero, integer overflow, conversion
  bad_call,     // indirect call to nothing or to another type
  out_of_time,  // the call's deadline passed
  interrupted,  // Instance::interrupt()
  exited,       // the guest ended itself with proc_exit
  other,
};

[[nodiscard]] std::string_view to_string(TrapKind kind);

// A place in the guest's source. `file` is empty and `line` 0 where the module carries no line
// tables.
struct Frame {
  std::string function;
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

struct Trap {
  TrapKind kind = TrapKind::other;
  std::string message;           // the engine's, e.g. "wasm trap: integer divide by zero"
  std::vector<Frame> backtrace;  // innermost first

  // "demo::divide at detect.cc:12:9", a line a frame; frames without a file say so.
  [[nodiscard]] std::string backtrace_text() const;
};

using CallFailure = std::variant<Error, Trap>;

// As one Error for the caller of a call: a Trap becomes `trapped` (deadline_exceeded, cancelled
// where it was that), with the innermost place that has a file.
[[nodiscard]] Error to_error(const CallFailure& failure);

}  // namespace aloft::runtime
