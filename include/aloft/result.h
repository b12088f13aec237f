// Errors are values: every fallible function of aloft returns a Result.
//
// Two kinds of failure are kept apart on purpose. An Error is the host's own: a peer that went
// away, a file that is not a model, a limit that was reached. A Trap is the guest's: its code
// divided by zero, ran out of its memory or of its time. A caller that retries an Error elsewhere
// may succeed; a Trap would happen again.
//
// This header is shared by native code and by guests (no exceptions, no threads, no I/O).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aloft {

// Why something failed, coarse enough to act on. The numbers go over the wire (docs/wire.md): never
// renumber.
enum class Errc : std::uint16_t {
  invalid_argument = 1,     // the caller asked for something that cannot be; retrying does not help
  not_found = 2,            // no such file, module, model or function
  refused = 3,              // understood, and not allowed or not supported here
  unreachable = 4,          // the peer cannot be reached, or went away
  version_mismatch = 5,     // the peer speaks no wire version that we speak
  signature_mismatch = 6,   // the peer's function has other types than ours
  protocol = 7,             // the peer broke the protocol
  corrupt = 8,              // bytes that are not what their digest or format says
  overloaded = 9,           // a bound was reached; later may do
  deadline_exceeded = 10,   // time ran out
  cancelled = 11,           // the caller gave it up
  resource_exhausted = 12,  // memory or another limit of the session was reached
  trapped = 13,             // the guest trapped; details in the Trap that goes with it
  internal = 14,            // a defect of ours
  interrupted = 15,         // it has effects, may have been begun, and nobody can know how it ended
};
inline constexpr Errc kLastErrc = Errc::interrupted;

// The name as it appears in messages, e.g. "signature_mismatch".
[[nodiscard]] constexpr std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::invalid_argument: return "invalid_argument";
    case Errc::not_found: return "not_found";
    case Errc::refused: return "refused";
    case Errc::unreachable: return "unreachable";
    case Errc::version_mismatch: return "version_mismatch";
    case Errc::signature_mismatch: return "signature_mismatch";
    case Errc::protocol: return "protocol";
    case Errc::corrupt: return "corrupt";
    case Errc::overloaded: return "overloaded";
    case Errc::deadline_exceeded: return "deadline_exceeded";
    case Errc::cancelled: return "cancelled";
    case Errc::resource_exhausted: return "resource_exhausted";
    case Errc::trapped: return "trapped";
    case Errc::internal: return "internal";
    case Errc::interrupted: return "interrupted";
  }
  return "unknown";
}

// A failure of the host's side. `message` is for people: it says what was wrong and what to do,
// without a trailing dot.
struct Error {
  Errc code = Errc::internal;
  std::string message;
};

template <class T, class E = Error>
using Result = std::expected<T, E>;

// `return fail(Errc::not_found, "no such video: " + path);`
[[nodiscard]] inline std::unexpected<Error> fail(Errc code, std::string message) {
  return std::unexpected<Error>(Error{code, std::move(message)});
}

}  // namespace aloft
