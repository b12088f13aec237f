#include "runtime/call_failure.h"

namespace aloft::runtime {

std::string_view to_string(TrapKind kind) {
  switch (kind) {
    case TrapKind::unreachable: return "unreachable";
    case TrapKind::out_of_bounds: return "out_of_bounds";
    case TrapKind::stack_overflow: return "stack_overflow";
    case TrapKind::arithmetic: return "arithmetic";
    case TrapKind::bad_call: return "bad_call";
    case TrapKind::out_of_time: return "out_of_time";
    case TrapKind::interrupted: return "interrupted";
    case TrapKind::exited: return "exited";
    case TrapKind::other: return "other";
  }
  return "unknown";
}

std::string Trap::backtrace_text() const {
  std::string text;
  for (const Frame& frame : backtrace) {
    text += frame.function.empty() ? "(unnamed)" : frame.function;
    if (frame.file.empty()) {
      text += " (no line table)";
    } else {
      text += " at " + frame.file + ":" + std::to_string(frame.line) + ":" +
              std::to_string(frame.column);
    }
    text += '\n';
  }
  return text;
}

Error to_error(const CallFailure& failure) {
  if (const auto* error = std::get_if<Error>(&failure)) return *error;
  const Trap& trap = std::get<Trap>(failure);
  if (trap.kind == TrapKind::interrupted) return {Errc::cancelled, trap.message};
  Error error{trap.kind == TrapKind::out_of_time ? Errc::deadline_exceeded : Errc::trapped,
              trap.message};
  for (const Frame& frame : trap.backtrace) {
    if (frame.file.empty()) continue;
    error.message += " at " + frame.file + ":" + std::to_string(frame.line);
    break;
  }
  return error;
}

}  // namespace aloft::runtime
