#include "runtime/host_linker.h"

#include <array>

#include "runtime/instance_impl.h"

namespace aloft::runtime {
namespace {

wasm_trap_t* trampoline(void* env, wasmtime_caller_t* caller, wasmtime_val_raw_t* values,
                        std::size_t count) noexcept {
  const auto& definition = *static_cast<const HostDefinition*>(env);
  auto& instance =
      *static_cast<Instance::Impl*>(wasmtime_context_get_data(wasmtime_caller_context(caller)));
  constexpr std::string_view kFailed = "a host function failed";
  try {
    // The engine's values are larger: they have room for types that no host function takes.
    std::array<HostArgument, kMaxHostArguments> arguments;
    const std::size_t parameters = definition.parameters.size();
    for (std::size_t i = 0; i < parameters; ++i) {
      if (definition.parameters[i] == 'I')
        arguments[i].i64 = values[i].i64;
      else
        arguments[i].i32 = values[i].i32;
    }
    const HostResult result = definition.body(instance, std::span(arguments).first(parameters));
    if (result) {
      if (count > 0) values[0].i32 = *result;
      return nullptr;
    }
    instance.stop_reason = result.error();
  } catch (...) {  // out of memory, for one: the guest's call ends, the process goes on
    instance.stop_reason = TrapKind::other;
  }
  return wasmtime_trap_new(kFailed.data(), kFailed.size());
}

Result<void> define_host_function(wasmtime_linker_t& linker, std::string_view module,
                                  const HostDefinition& definition) {
  wasm_valtype_vec_t inputs;
  wasm_valtype_vec_new_uninitialized(&inputs, definition.parameters.size());
  for (std::size_t i = 0; i < definition.parameters.size(); ++i)
    inputs.data[i] = wasm_valtype_new(definition.parameters[i] == 'I' ? WASM_I64 : WASM_I32);
  wasm_valtype_vec_t outputs;
  wasm_valtype_vec_new_uninitialized(&outputs, definition.returns == HostReturn::number ? 1 : 0);
  if (definition.returns == HostReturn::number) outputs.data[0] = wasm_valtype_new(WASM_I32);
  using TypeHandle = std::unique_ptr<wasm_functype_t, Deleter<wasm_functype_delete>>;
  const TypeHandle type(wasm_functype_new(&inputs, &outputs));
  const ErrorHandle error{wasmtime_linker_define_func_unchecked(
      &linker, module.data(), module.size(), definition.name.data(), definition.name.size(),
      type.get(), &trampoline, const_cast<HostDefinition*>(&definition), nullptr)};
  if (error) return fail(Errc::internal, "cannot define a host function: " + message_of(*error));
  return {};
}

}  // namespace

Result<void> define_host_functions(wasmtime_linker_t& linker, std::string_view module,
                                   std::span<const HostDefinition> definitions) {
  for (const HostDefinition& definition : definitions) {
    if (auto defined = define_host_function(linker, module, definition); !defined) return defined;
  }
  return {};
}

}  // namespace aloft::runtime
