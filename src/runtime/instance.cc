#include "runtime/instance.h"

#include <utility>

#include "runtime/instance_impl.h"

namespace aloft::runtime {
namespace {

TrapKind kind_of(wasmtime_trap_code_t code) {
  switch (code) {
    case WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED: return TrapKind::unreachable;
    case WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS:
    case WASMTIME_TRAP_CODE_HEAP_MISALIGNED:
    case WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS: return TrapKind::out_of_bounds;
    case WASMTIME_TRAP_CODE_STACK_OVERFLOW: return TrapKind::stack_overflow;
    case WASMTIME_TRAP_CODE_INTEGER_OVERFLOW:
    case WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO:
    case WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER: return TrapKind::arithmetic;
    case WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL:
    case WASMTIME_TRAP_CODE_BAD_SIGNATURE: return TrapKind::bad_call;
    default: return TrapKind::other;
  }
}

void keep_text(void* out, const char* data, std::size_t size) {
  static_cast<std::string*>(out)->assign(data, size);
}

void keep_frame(void* out, const aloft_wasmtime_symbol_t* symbol) {
  static_cast<std::vector<Frame>*>(out)->push_back(
      {.function = {symbol->function, symbol->function_size},
       .file = {symbol->file, symbol->file_size},
       .line = symbol->line,
       .column = symbol->column});
}

// Asked at each tick of the epoch while the guest runs.
wasmtime_error_t* on_tick(wasmtime_context_t* context, void*, std::uint64_t* ticks,
                          wasmtime_update_deadline_kind_t* kind) {
  auto& instance = *static_cast<Instance::Impl*>(wasmtime_context_get_data(context));
  *ticks = 1;
  *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
  instance.stop_reason = instance.must_stop();
  return instance.stop_reason ? wasmtime_error_new("stopped") : nullptr;
}

std::unexpected<CallFailure> failed(Errc code, std::string message) {
  return std::unexpected<CallFailure>(Error{code, std::move(message)});
}

CallResult<void> without_value(const CallResult<std::uint32_t>& result) {
  if (!result) return std::unexpected(result.error());
  return {};
}

std::unexpected<CallFailure> failed(Error error) {
  return std::unexpected<CallFailure>(std::move(error));
}

}  // namespace

std::span<std::byte> Instance::Impl::linear_memory() {
  if (!exported_memory) return {};
  return {reinterpret_cast<std::byte*>(wasmtime_memory_data(context, &*exported_memory)),
          wasmtime_memory_data_size(context, &*exported_memory)};
}

CallResult<void> Instance::Impl::start(const InstanceLimits& limits, Deadline until) {
  Engine::Impl& engine = *module->impl().engine;
  store.reset(wasmtime_store_new(engine.engine.get(), this, nullptr));
  context = wasmtime_store_context(store.get());
  wasmtime_store_limiter(store.get(), static_cast<std::int64_t>(limits.memory_bytes),
                         limits.table_elements,
                         /*instances=*/1, /*tables=*/1, /*memories=*/1);
  wasmtime_store_epoch_deadline_callback(store.get(), &on_tick, nullptr, nullptr);

  deadline = until;
  wasm_trap_t* raw_trap = nullptr;
  {
    const EpochClock::Running running(*engine.epochs);
    wasmtime_context_set_epoch_deadline(context, 1);
    const ErrorHandle error{
        wasmtime_instance_pre_instantiate(module->impl().pre.get(), context, &instance, &raw_trap)};
    if (error && !stop_reason) {
      return failed(Errc::resource_exhausted,
                    "the module cannot be instantiated: " + message_of(*error));
    }
    const TrapHandle trap(raw_trap);
    if (error || trap) return std::unexpected<CallFailure>(make_trap(error.get(), trap.get()));
  }
  wasmtime_extern_t memory;
  constexpr std::string_view kMemory = "memory";
  if (wasmtime_instance_export_get(context, &instance, kMemory.data(), kMemory.size(), &memory)) {
    if (memory.kind == WASMTIME_EXTERN_MEMORY) exported_memory = memory.of.memory;
    wasmtime_extern_delete(&memory);
  }
  if (module->exports_function("_initialize")) {
    if (auto initialized = invoke("_initialize", {}, 0, until); !initialized) {
      return std::unexpected(initialized.error());
    }
  }
  return {};
}

Result<wasmtime_func_t> Instance::Impl::find(std::string_view name, std::size_t parameters,
                                             std::size_t results) {
  if (const auto known = functions.find(name); known != functions.end() &&
                                               known->second.parameters == parameters &&
                                               known->second.results == results) {
    return known->second.function;
  }
  wasmtime_extern_t item;
  if (!wasmtime_instance_export_get(context, &instance, name.data(), name.size(), &item)) {
    return fail(Errc::not_found, "the module has no export " + std::string(name));
  }
  const bool is_function = item.kind == WASMTIME_EXTERN_FUNC;
  const wasmtime_func_t function = is_function ? item.of.func : wasmtime_func_t{};
  wasmtime_extern_delete(&item);
  bool fits = is_function;
  if (is_function) {
    // Calls are unchecked, so the type is checked here, once.
    wasm_functype_t* type = wasmtime_func_type(context, &function);
    const auto all_i32 = [](const wasm_valtype_vec_t& types, std::size_t count) {
      bool same = types.size == count;
      for (std::size_t i = 0; same && i < count; ++i)
        same = wasm_valtype_kind(types.data[i]) == WASM_I32;
      return same;
    };
    fits = all_i32(*wasm_functype_params(type), parameters) &&
           all_i32(*wasm_functype_results(type), results);
    wasm_functype_delete(type);
  }
  if (!fits)
    return fail(Errc::corrupt,
                "the module's export " + std::string(name) + " has another type than guests have");
  functions.insert_or_assign(std::string(name), KnownFunction{function, parameters, results});
  return function;
}

CallResult<void> Instance::Impl::invoke(const wasmtime_func_t& function,
                                        std::span<wasmtime_val_raw_t> values, Deadline until) {
  if (dead) return failed(Errc::refused, "this instance trapped before and takes no more calls");
  deadline = until;
  stop_reason = must_stop();
  if (stop_reason) {
    dead = *stop_reason == TrapKind::interrupted;
    return std::unexpected<CallFailure>(make_trap(nullptr, nullptr));
  }
  wasm_trap_t* raw_trap = nullptr;
  ErrorHandle error;
  {
    const EpochClock::Running running(*module->impl().engine->epochs);
    wasmtime_context_set_epoch_deadline(context, 1);
    error.reset(
        wasmtime_func_call_unchecked(context, &function, values.data(), values.size(), &raw_trap));
  }
  const TrapHandle trap(raw_trap);
  output.flush();
  error_output.flush();
  if (!error && !trap) return {};
  dead = true;
  if (host_error) return failed(*std::move(host_error));
  return std::unexpected<CallFailure>(make_trap(error.get(), trap.get()));
}

CallResult<std::uint32_t> Instance::Impl::invoke(std::string_view name,
                                                 std::span<const std::uint32_t> arguments,
                                                 std::size_t results, Deadline until) {
  const auto function = find(name, arguments.size(), results);
  if (!function) return failed(function.error());
  std::array<wasmtime_val_raw_t, 4> values{};
  for (std::size_t i = 0; i < arguments.size(); ++i)
    values[i].i32 = static_cast<std::int32_t>(arguments[i]);
  const std::size_t used = std::max<std::size_t>({arguments.size(), results, 1});
  if (auto called = invoke(*function, std::span(values).first(used), until); !called) {
    return std::unexpected(called.error());
  }
  return results == 0 ? 0 : static_cast<std::uint32_t>(values[0].i32);
}

Trap Instance::Impl::make_trap(const wasmtime_error_t* error, const wasm_trap_t* trap) {
  Trap made;
  if (trap != nullptr) {
    aloft_wasmtime_trap_text(trap, &keep_text, &made.message);
    aloft_wasmtime_trap_symbols(trap, &keep_frame, &made.backtrace);
    wasmtime_trap_code_t code = 0;
    if (wasmtime_trap_code(trap, &code)) made.kind = kind_of(code);
  }
  if (error != nullptr) {
    aloft_wasmtime_error_text(error, &keep_text, &made.message);
    aloft_wasmtime_error_symbols(error, &keep_frame, &made.backtrace);
  }
  if (stop_reason) {
    made.kind = *stop_reason;
    if (made.kind == TrapKind::out_of_time) made.message = "the call ran out of time";
    if (made.kind == TrapKind::interrupted) made.message = "the call was given up";
    if (made.kind == TrapKind::exited)
      made.message = "the guest ended itself with status " + std::to_string(exit_status);
  }
  return made;
}

CallResult<std::unique_ptr<Instance>> Instance::create(std::shared_ptr<const Module> module,
                                                       const InstanceLimits& limits,
                                                       HostServices& services, Deadline deadline) {
  auto impl = std::make_unique<Impl>(std::move(module), services);
  if (auto started = impl->start(limits, deadline); !started)
    return std::unexpected(started.error());
  return std::unique_ptr<Instance>(new Instance(std::move(impl)));
}

Instance::Instance(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Instance::~Instance() = default;

bool Instance::usable() const { return !impl_->dead; }

CallResult<GuestBuffer> Instance::make_buffer(std::uint32_t size, Deadline deadline) {
  const std::uint32_t arguments[] = {size};
  const auto address = impl_->invoke("aloft_buffer", arguments, 1, deadline);
  if (!address) return std::unexpected(address.error());
  if (*address == 0) {
    return failed(Errc::resource_exhausted,
                  "the guest has no memory for a buffer of " + std::to_string(size) + " bytes");
  }
  const auto bytes = impl_->slice(*address, size);
  if (!bytes) return failed(Errc::protocol, "the guest answered a buffer outside its memory");
  return GuestBuffer{*address, *bytes};
}

CallResult<void> Instance::free_buffer(std::uint32_t address, Deadline deadline) {
  const std::uint32_t arguments[] = {address};
  return without_value(impl_->invoke("aloft_free_buffer", arguments, 0, deadline));
}

CallResult<Reply> Instance::call(std::string_view export_name, std::uint32_t address,
                                 std::uint32_t size, Deadline deadline) {
  const std::uint32_t arguments[] = {address, size};
  const auto descriptor = impl_->invoke(export_name, arguments, 1, deadline);
  if (!descriptor) return std::unexpected(descriptor.error());
  if (*descriptor == 0) {
    return failed(
        Errc::protocol,
        "the guest cannot decode its arguments: were they encoded for another signature?");
  }
  return impl_->read_reply(*descriptor);
}

CallResult<void> Instance::make_object(std::uint32_t index, Deadline deadline) {
  const std::uint32_t arguments[] = {index};
  const auto made = impl_->invoke("aloft_object_make", arguments, 1, deadline);
  if (!made) return std::unexpected(made.error());
  if (*made != 1)
    return failed(Errc::not_found,
                  "the guest has no class with the index " + std::to_string(index));
  return {};
}

CallResult<Reply> Instance::save_state(Deadline deadline) {
  const auto descriptor = impl_->invoke("aloft_state_save", {}, 1, deadline);
  if (!descriptor) return std::unexpected(descriptor.error());
  if (*descriptor == 0) return failed(Errc::refused, "the guest has no object to save");
  return impl_->read_reply(*descriptor);
}

CallResult<void> Instance::load_state(std::uint32_t address, std::uint32_t size,
                                      Deadline deadline) {
  const std::uint32_t arguments[] = {address, size};
  const auto loaded = impl_->invoke("aloft_state_load", arguments, 1, deadline);
  if (!loaded) return std::unexpected(loaded.error());
  if (*loaded != 1) {
    return failed(Errc::protocol,
                  "the guest cannot decode the state: was it saved by another class, or another "
                  "version of it?");
  }
  return {};
}

CallResult<void> Instance::release(std::uint32_t descriptor, Deadline deadline) {
  const std::uint32_t arguments[] = {descriptor};
  return without_value(impl_->invoke("aloft_release", arguments, 0, deadline));
}

CallResult<std::int32_t> Instance::run(std::string_view export_name, Deadline deadline) {
  auto results = std::size_t{1};
  if (!impl_->find(export_name, 0, 1)) results = 0;
  const auto value = impl_->invoke(export_name, {}, results, deadline);
  if (!value) return std::unexpected(value.error());
  return static_cast<std::int32_t>(*value);
}

std::span<std::byte> Instance::memory() { return impl_->linear_memory(); }

void Instance::interrupt() { impl_->stop.request_stop(); }

}  // namespace aloft::runtime
