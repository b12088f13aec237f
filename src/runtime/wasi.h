// WASI preview 1 as guests get it: clocks, random numbers, sleep, and two output streams whose
// lines go to HostServices. Nothing is preopened, so every function that works on a file, a folder
// or a socket exists, links, and refuses; there is no code behind it that a guest could reach. That
// is all of the 46 functions of `wasi_snapshot_preview1`, written here because
//   - output must reach HostServices on the thread of the call (wasi_streams.h),
//   - a guest that sleeps must wake when its time is up or its call is given up (wasi_poll.h),
//   - what a guest can reach is the sandbox, and this much of it can be read in one sitting.
// Names, types and error numbers are those of the witx of wasi_snapshot_preview1.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "runtime/host_function.h"

namespace aloft::runtime {

// The `errno` of preview 1, as far as it is used.
enum WasiErrno : std::int32_t {
  kWasiSuccess = 0,
  kWasiBadDescriptor = 8,
  kWasiFault = 21,  // a pointer that is not in the guest's memory
  kWasiInvalid = 28,
  kWasiNotSupported = 58,
  kWasiNotSeekable = 70,
};

// Its `clockid`: the two that guests have.
constexpr std::uint32_t kWasiRealtime = 0;
constexpr std::uint32_t kWasiMonotonic = 1;

inline constexpr std::string_view kWasiModule = "wasi_snapshot_preview1";
// All of them. They live forever.
[[nodiscard]] std::span<const HostDefinition> wasi_functions();

}  // namespace aloft::runtime
