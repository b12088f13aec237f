// An instance's insides, as its host functions see them. Private to this folder.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>

#include "runtime/guest_output.h"
#include "runtime/instance.h"
#include "runtime/module_impl.h"
#include "runtime/wasi_nn.h"
#include "runtime/wasmtime_handles.h"

namespace aloft::runtime {

struct Instance::Impl {
  Impl(std::shared_ptr<const Module> of, HostServices& host)
      : module(std::move(of)),
        services(host),
        output(host, GuestStream::standard_output),
        error_output(host, GuestStream::standard_error) {}

  // --- for host functions
  // ------------------------------------------------------------------------------------- `size`
  // bytes of guest memory at `address`; nothing when they are not all inside it.
  [[nodiscard]] std::optional<std::span<std::byte>> slice(std::uint32_t address,
                                                          std::uint64_t size);
  [[nodiscard]] std::optional<std::uint32_t> read_u32(std::uint32_t address);
  [[nodiscard]] bool write_u32(std::uint32_t address, std::uint32_t value);
  // Why the call must not go on: its deadline passed, or it was interrupted.
  [[nodiscard]] std::optional<TrapKind> must_stop() const;

  // --- for Instance
  // -------------------------------------------------------------------------------------------
  [[nodiscard]] CallResult<void> start(const InstanceLimits& limits, Deadline until);
  // An export of i32 parameters and i32 results. Errors: not_found, corrupt (another type).
  [[nodiscard]] Result<wasmtime_func_t> find(std::string_view name, std::size_t parameters,
                                             std::size_t results);
  // Runs it; `values` are the arguments before and the results after.
  [[nodiscard]] CallResult<void> invoke(const wasmtime_func_t& function,
                                        std::span<wasmtime_val_raw_t> values, Deadline until);
  [[nodiscard]] CallResult<std::uint32_t> invoke(std::string_view name,
                                                 std::span<const std::uint32_t> arguments,
                                                 std::size_t results, Deadline until);
  // What a result's descriptor in guest memory says. Errors: protocol.
  [[nodiscard]] CallResult<Reply> read_reply(std::uint32_t descriptor);
  [[nodiscard]] Trap make_trap(const wasmtime_error_t* error, const wasm_trap_t* trap);

  std::shared_ptr<const Module> module;
  HostServices& services;
  GuestOutput output;
  GuestOutput error_output;
  std::stop_source stop;                // requested once, by interrupt()
  Deadline deadline{};                  // of the call that runs
  std::optional<TrapKind> stop_reason;  // set by whoever ended the call
  std::uint32_t exit_status = 0;        // where stop_reason is `exited`
  std::optional<Error> host_error;      // what the host lacks for the call, which ended it: no trap
  bool dead = false;                    // trapped: its memory is in no known state

  StoreHandle store;
  wasmtime_context_t* context = nullptr;
  wasmtime_instance_t instance{};
  std::optional<wasmtime_memory_t> exported_memory;
  // Found before, with the type that was checked.
  struct KnownFunction {
    wasmtime_func_t function;
    std::size_t parameters;
    std::size_t results;
  };
  std::map<std::string, KnownFunction, std::less<>> functions;
  NnTables nn;  // before the store in destruction: executions may still borrow guest memory
};

}  // namespace aloft::runtime
