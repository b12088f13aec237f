// How a host function is defined: its type, and its body as a plain function of the calling guest
// and the arguments. A C++ exception never crosses the guest's frames.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

#include "runtime/guest_context.h"

namespace aloft::runtime {

// An argument as the guest gave it: which of the two it is, the definition's `parameters` say.
union HostArgument {
  std::int32_t i32;
  std::int64_t i64;
};

// What a host function answers: the errno that the guest sees, or nothing when the call must end
// here, and why (GuestContext::host_error where it is the host's doing).
using HostResult = std::expected<std::int32_t, TrapKind>;
using HostFunction = HostResult (*)(GuestContext& guest, std::span<const HostArgument> arguments);

enum class HostReturn : std::uint8_t { number, nothing };  // an i32, or no result at all

struct HostDefinition {
  std::string_view name;
  std::string_view parameters;  // a letter each: i is i32, I is i64
  HostFunction body;
  HostReturn returns = HostReturn::number;
};

// No host function has more parameters.
inline constexpr std::size_t kMaxHostArguments = 9;

[[nodiscard]] inline std::uint32_t unsigned_argument(const HostArgument& value) {
  return static_cast<std::uint32_t>(value.i32);
}

}  // namespace aloft::runtime
