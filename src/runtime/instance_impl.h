// An instance's insides, as its host functions see them. Private to this folder.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "runtime/guest_context.h"
#include "runtime/instance.h"
#include "runtime/module_impl.h"
#include "runtime/wasmtime_handles.h"

namespace aloft::runtime {

struct Instance::Impl final : GuestContext {
  Impl(std::shared_ptr<const Module> of, HostServices& host)
      : GuestContext(host), module(std::move(of)) {}
  // Executions may still borrow guest memory.
  ~Impl() override { nn.contexts.clear(); }

  [[nodiscard]] std::span<std::byte> linear_memory() override;

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
  [[nodiscard]] Trap make_trap(const wasmtime_error_t* error, const wasm_trap_t* trap);

  std::shared_ptr<const Module> module;
  bool dead = false;  // trapped: its memory is in no known state

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
};

}  // namespace aloft::runtime
