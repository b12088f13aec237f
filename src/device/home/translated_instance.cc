#include "device/home/translated_instance.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "runtime/wasi.h"
#include "runtime/wasi_nn_functions.h"

namespace aloft::device {
namespace {

using runtime::CallFailure;
using runtime::HostArgument;
using runtime::HostDefinition;
using runtime::HostReturn;
using runtime::Trap;
using runtime::TrapKind;

constexpr std::size_t kMaxParameters = 3;  // of what the ABI calls

std::unexpected<CallFailure> failed(Error error) {
  return std::unexpected<CallFailure>(std::move(error));
}
std::unexpected<CallFailure> failed(Errc code, std::string message) {
  return failed(Error{code, std::move(message)});
}

TrapKind kind_of(wasm_rt_trap_t trap) {
  switch (trap) {
    case WASM_RT_TRAP_UNREACHABLE: return TrapKind::unreachable;
    case WASM_RT_TRAP_OOB: return TrapKind::out_of_bounds;
    case WASM_RT_TRAP_EXHAUSTION: return TrapKind::stack_overflow;
    case WASM_RT_TRAP_INT_OVERFLOW:
    case WASM_RT_TRAP_DIV_BY_ZERO:
    case WASM_RT_TRAP_INVALID_CONVERSION: return TrapKind::arithmetic;
    case WASM_RT_TRAP_CALL_INDIRECT: return TrapKind::bad_call;
    case WASM_RT_TRAP_NONE: break;
  }
  return TrapKind::other;
}

std::string words_of(wasm_rt_trap_t trap) {
  switch (trap) {
    case WASM_RT_TRAP_UNREACHABLE: return "`unreachable` instruction executed";
    case WASM_RT_TRAP_OOB: return "out of bounds memory or table access";
    case WASM_RT_TRAP_EXHAUSTION: return "call stack exhausted";
    case WASM_RT_TRAP_INT_OVERFLOW: return "integer overflow";
    case WASM_RT_TRAP_DIV_BY_ZERO: return "integer divide by zero";
    case WASM_RT_TRAP_INVALID_CONVERSION: return "invalid conversion to integer";
    case WASM_RT_TRAP_CALL_INDIRECT: return "indirect call to nothing, or to another type";
    case WASM_RT_TRAP_NONE: break;
  }
  return "unknown";
}

std::span<const HostDefinition> functions_of(std::string_view module) {
  if (module == runtime::kWasiModule) return runtime::wasi_functions();
  if (module == runtime::kWasiNnModule) return runtime::wasi_nn_functions();
  return {};
}

struct Invocation {
  const aloft_translated_export* function;
  void* instance;
  std::array<std::uint32_t, kMaxParameters> arguments;
  std::uint32_t result;
};

struct Making {
  const aloft_translated_module* module;
  void* instance;
  void* host;
};

}  // namespace

Result<std::vector<const HostDefinition*>> resolve_imports(const aloft_translated_module& module) {
  std::vector<const HostDefinition*> found;
  for (const aloft_translated_import& import : std::span(module.imports, module.import_count)) {
    const auto functions = functions_of(import.module);
    const auto definition = std::ranges::find(functions, import.name, &HostDefinition::name);
    if (definition == functions.end() || definition->parameters != import.type ||
        (definition->returns == HostReturn::number) != (import.has_result != 0)) {
      return fail(Errc::refused, std::string(module.name) + " imports '" + import.module + "." +
                                     import.name + "', which this device does not offer");
    }
    found.push_back(&*definition);
  }
  return found;
}

TranslatedInstance::TranslatedInstance(const aloft_translated_module& module,
                                       std::span<const HostDefinition* const> imports,
                                       const GuestLimits& limits, runtime::HostServices& host)
    : GuestContext(host),
      module_(module),
      imports_(imports),
      limits_(limits),
      instance_(std::make_unique<std::max_align_t[]>(
          (module.instance_bytes + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t))) {
  deadline = runtime::Deadline::max();
  std::memset(instance_.get(), 0, module.instance_bytes);
}

TranslatedInstance::~TranslatedInstance() {
  nn.contexts.clear();  // they may still borrow the memory
  module_.drop(instance_.get());
}

CallResult<std::unique_ptr<TranslatedInstance>> TranslatedInstance::create(
    const aloft_translated_module& module, std::span<const HostDefinition* const> imports,
    const GuestLimits& limits, runtime::HostServices& host) {
  std::unique_ptr<TranslatedInstance> made(new TranslatedInstance(module, imports, limits, host));
  Making making{.module = &module, .instance = made->instance_.get(), .host = made.get()};
  const auto make = [](void* argument) {
    const auto& of = *static_cast<const Making*>(argument);
    of.module->make(of.instance, of.host);
  };
  if (auto entered = made->enter(make, &making); !entered)
    return std::unexpected(std::move(entered.error()));
  const std::span exports(module.exports, module.export_count);
  constexpr std::string_view kInitialize = "_initialize";
  if (std::ranges::find(exports, kInitialize, &aloft_translated_export::name) != exports.end()) {
    if (auto done = made->invoke(kInitialize, {}); !done)
      return std::unexpected(std::move(done.error()));
  }
  return made;
}

CallResult<void> TranslatedInstance::enter(void (*body)(void*), void* argument) {
  if (dead_) return failed(Errc::refused, "the guest has trapped before");
  const auto stack_end = guest_stack_end();
  if (!stack_end) return failed(stack_end.error());
  stop_reason = must_stop();
  if (stop_reason) {
    dead_ = *stop_reason == TrapKind::interrupted;
    return std::unexpected<CallFailure>(make_trap({}));
  }
  module_.set_stack_end(*stack_end);
  const GuestExit exit = enter_guest(limits_, body, argument);
  output.flush();
  error_output.flush();
  if (exit.trap == WASM_RT_TRAP_NONE) return {};
  dead_ = true;
  if (exit.over_limit) {
    return failed(Errc::resource_exhausted, "the module needs more memory than its limit of " +
                                                std::to_string(limits_.memory_bytes >> 20U) +
                                                " MiB from the start");
  }
  if (host_error) return failed(*std::move(host_error));
  return std::unexpected<CallFailure>(make_trap(exit));
}

Trap TranslatedInstance::make_trap(const GuestExit& exit) const {
  Trap made{
      .kind = kind_of(exit.trap), .message = "wasm trap: " + words_of(exit.trap), .backtrace = {}};
  if (stop_reason) {
    made.kind = *stop_reason;
    made.message = "a host function failed";
    if (made.kind == TrapKind::out_of_time) made.message = "the call ran out of time";
    if (made.kind == TrapKind::interrupted) made.message = "the call was given up";
    if (made.kind == TrapKind::exited)
      made.message = "the guest ended itself with status " + std::to_string(exit_status);
  }
  return made;
}

CallResult<std::uint32_t> TranslatedInstance::invoke(
    std::string_view name, std::initializer_list<std::uint32_t> arguments) {
  const std::span exports(module_.exports, module_.export_count);
  const auto function = std::ranges::find(exports, name, &aloft_translated_export::name);
  if (function == exports.end() || function->parameters != arguments.size() ||
      arguments.size() > kMaxParameters) {
    return failed(Errc::not_found,
                  "the module has no function " + std::string(name) + " as the ABI has it");
  }
  Invocation invocation{
      .function = &*function, .instance = instance_.get(), .arguments = {}, .result = 0};
  std::ranges::copy(arguments, invocation.arguments.begin());
  const auto call = [](void* argument) {
    auto& of = *static_cast<Invocation*>(argument);
    of.result = of.function->call(of.instance, of.arguments.data());
  };
  if (auto entered = enter(call, &invocation); !entered)
    return std::unexpected(std::move(entered.error()));
  return invocation.result;
}

CallResult<std::uint32_t> TranslatedInstance::make_buffer(std::uint64_t size) {
  const auto too_large = [&] {
    return failed(Errc::resource_exhausted,
                  "the guest has no memory for a buffer of " + std::to_string(size) + " bytes");
  };
  if (size > limits_.memory_bytes) return too_large();
  auto address = invoke("aloft_buffer", {static_cast<std::uint32_t>(size)});
  if (!address) return address;
  if (*address == 0) return too_large();
  if (!slice(*address, size))
    return failed(Errc::protocol, "the guest answered a buffer outside its memory");
  return address;
}

std::span<std::byte> TranslatedInstance::linear_memory() {
  const wasm_rt_memory_t& memory = *module_.memory(instance_.get());
  return {reinterpret_cast<std::byte*>(memory.data), memory.size};
}

bool TranslatedInstance::call_import(std::uint32_t import, const aloft_translated_value* arguments,
                                     std::uint32_t& answer) noexcept {
  const HostDefinition& definition = *imports_[import];
  std::array<HostArgument, runtime::kMaxHostArguments> values;
  const std::size_t count = definition.parameters.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (definition.parameters[i] == 'I')
      values[i].i64 = static_cast<std::int64_t>(arguments[i].i64);
    else
      values[i].i32 = static_cast<std::int32_t>(arguments[i].i32);
  }
  try {
    const runtime::HostResult result = definition.body(*this, std::span(values).first(count));
    if (result) {
      answer = static_cast<std::uint32_t>(*result);
      return true;
    }
    stop_reason = result.error();
  } catch (...) {  // out of memory, for one: the guest's call ends, the process goes on
    stop_reason = TrapKind::other;
  }
  return false;
}

}  // namespace aloft::device

extern "C" uint32_t aloft_translated_call_import(void* host, uint32_t import,
                                                 const aloft_translated_value* arguments) {
  std::uint32_t answer = 0;
  if (!static_cast<aloft::device::TranslatedInstance*>(host)->call_import(import, arguments,
                                                                          answer))
    aloft_translated_trap(WASM_RT_TRAP_UNREACHABLE);
  return answer;
}
