// Thin ownership over the objects of Wasmtime's C API. Private to this folder.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <aloft_wasmtime.h>

namespace aloft::runtime {

template <auto Delete>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    Delete(object);
  }
};

using EngineHandle = std::unique_ptr<wasm_engine_t, Deleter<wasm_engine_delete>>;
using ConfigHandle = std::unique_ptr<wasm_config_t, Deleter<wasm_config_delete>>;
using LinkerHandle = std::unique_ptr<wasmtime_linker_t, Deleter<wasmtime_linker_delete>>;
using ModuleHandle = std::unique_ptr<wasmtime_module_t, Deleter<wasmtime_module_delete>>;
using InstancePreHandle =
    std::unique_ptr<wasmtime_instance_pre_t, Deleter<wasmtime_instance_pre_delete>>;
using StoreHandle = std::unique_ptr<wasmtime_store_t, Deleter<wasmtime_store_delete>>;
using ErrorHandle = std::unique_ptr<wasmtime_error_t, Deleter<wasmtime_error_delete>>;
using TrapHandle = std::unique_ptr<wasm_trap_t, Deleter<wasm_trap_delete>>;

// The message without the stack.
[[nodiscard]] inline std::string message_of(const wasmtime_error_t& error) {
  std::string text;
  const auto keep = [](void* out, const char* data, std::size_t size) {
    static_cast<std::string*>(out)->assign(data, size);
  };
  aloft_wasmtime_error_text(&error, keep, &text);
  return text;
}

[[nodiscard]] inline std::string_view view(const wasm_name_t& name) {
  return {name.data, name.size};
}

}  // namespace aloft::runtime
