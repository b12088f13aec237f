// What host functions know of the guest that calls them: its memory, its limits, its output, its
// graphs. Of an instance of the engine (instance_impl.h), and of a guest that was translated to C
// and linked into a device (src/device/home/), so that both get the same WASI and the same wasi-nn.
//
// Thread rule: the thread that calls into the guest, except `stop`.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

#include "runtime/call_failure.h"
#include "runtime/guest_output.h"
#include "runtime/host_services.h"
#include "runtime/wasi_nn.h"

namespace aloft::runtime {

using Deadline = std::chrono::steady_clock::time_point;

template <class T>
using CallResult = std::expected<T, CallFailure>;

// A call's encoded result in guest memory, valid until it is released or the instance ends.
struct Reply {
  std::uint32_t descriptor = 0;  // what aloft_release takes
  std::vector<std::span<const std::byte>> segments;
};

struct GuestContext {
  // `host` outlives it.
  explicit GuestContext(HostServices& host)
      : services(host),
        output(host, GuestStream::standard_output),
        error_output(host, GuestStream::standard_error) {}
  virtual ~GuestContext() = default;
  GuestContext(const GuestContext&) = delete;
  GuestContext& operator=(const GuestContext&) = delete;

  // All of linear memory as it is now; empty where the guest exports none.
  [[nodiscard]] virtual std::span<std::byte> linear_memory() = 0;

  // `size` bytes of guest memory at `address`; nothing when they are not all inside it.
  [[nodiscard]] std::optional<std::span<std::byte>> slice(std::uint32_t address,
                                                          std::uint64_t size);
  [[nodiscard]] std::optional<std::uint32_t> read_u32(std::uint32_t address);
  [[nodiscard]] bool write_u32(std::uint32_t address, std::uint32_t value);
  // Why the call must not go on: its deadline passed, or it was interrupted.
  [[nodiscard]] std::optional<TrapKind> must_stop() const;
  // What a result's descriptor in guest memory says. Errors: protocol.
  [[nodiscard]] CallResult<Reply> read_reply(std::uint32_t descriptor);

  HostServices& services;
  GuestOutput output;
  GuestOutput error_output;
  std::stop_source stop;                // requested once: the call is given up
  Deadline deadline{};                  // of the call that runs
  std::optional<TrapKind> stop_reason;  // set by whoever ended the call
  std::uint32_t exit_status = 0;        // where stop_reason is `exited`
  std::optional<Error> host_error;      // what the host lacks for the call, which ended it: no trap
  // Whoever derives clears its contexts before the memory goes: executions may borrow that.
  NnTables nn;
};

}  // namespace aloft::runtime
