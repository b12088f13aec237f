// How a host function is defined: its type, and its body as a plain function of the calling
// instance and the raw arguments. A C++ exception never crosses the guest's frames. Private to this
// folder.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

#include "runtime/instance_impl.h"
#include "runtime/wasmtime_handles.h"
#include <aloft/result.h>

namespace aloft::runtime {

// What a host function answers: the errno that the guest sees, or nothing when the call must end
// here (the instance knows why: Instance::Impl::stop_reason, or host_error).
using HostResult = std::expected<std::int32_t, TrapKind>;
using HostFunction = HostResult (*)(Instance::Impl& instance,
                                    std::span<const wasmtime_val_raw_t> arguments);

enum class HostReturn : std::uint8_t { number, nothing };  // an i32, or no result at all

struct HostDefinition {
  std::string_view name;
  std::string_view parameters;  // a letter each: i is i32, I is i64
  HostFunction body;
  HostReturn returns = HostReturn::number;
};

// Defines all of them in `module`. Their bodies live forever.
[[nodiscard]] Result<void> define_host_functions(wasmtime_linker_t& linker, std::string_view module,
                                                 std::span<const HostDefinition> definitions);

[[nodiscard]] inline std::uint32_t unsigned_argument(const wasmtime_val_raw_t& value) {
  return static_cast<std::uint32_t>(value.i32);
}

}  // namespace aloft::runtime
