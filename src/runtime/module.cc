#include "runtime/module.h"

#include <array>

#include "runtime/module_impl.h"

namespace aloft::runtime {
namespace {

constexpr std::uint32_t kAbi = 1;
constexpr std::array<std::string_view, 2> kImportModules{"wasi_snapshot_preview1",
                                                         "wasi_ephemeral_nn"};
// What every module of guest ABI 1 exports besides its functions.
constexpr std::array<std::string_view, 4> kAbiFunctions{"aloft_abi_version", "aloft_buffer",
                                                        "aloft_free_buffer", "aloft_release"};
// And when it has objects.
constexpr std::array<std::string_view, 3> kObjectFunctions{"aloft_object_make", "aloft_state_save",
                                                           "aloft_state_load"};

}  // namespace

Result<void> Module::Impl::link() {
  wasm_importtype_vec_t imports;
  wasmtime_module_imports(module.get(), &imports);
  std::string foreign;
  for (std::size_t i = 0; i < imports.size && foreign.empty(); ++i) {
    const std::string_view from = view(*wasm_importtype_module(imports.data[i]));
    bool known = false;
    for (const std::string_view name : kImportModules) known = known || name == from;
    if (!known)
      foreign = std::string(from) + "." + std::string(view(*wasm_importtype_name(imports.data[i])));
  }
  wasm_importtype_vec_delete(&imports);
  if (!foreign.empty()) {
    return fail(Errc::refused,
                "the module imports " + foreign +
                    ", which guests do not get: only wasi_snapshot_preview1 and wasi_ephemeral_nn");
  }

  wasm_exporttype_vec_t exports;
  wasmtime_module_exports(module.get(), &exports);
  for (std::size_t i = 0; i < exports.size; ++i) {
    const std::string_view name = view(*wasm_exporttype_name(exports.data[i]));
    const wasm_externkind_t kind = wasm_externtype_kind(wasm_exporttype_type(exports.data[i]));
    if (kind == WASM_EXTERN_FUNC) functions.emplace(name);
    if (kind == WASM_EXTERN_MEMORY && name == "memory") exports_memory = true;
  }
  wasm_exporttype_vec_delete(&exports);

  wasmtime_instance_pre_t* linked = nullptr;
  if (const ErrorHandle error{
          wasmtime_linker_instantiate_pre(engine->linker.get(), module.get(), &linked)}) {
    return fail(Errc::refused,
                "the module cannot be linked to the host functions: " + message_of(*error));
  }
  pre.reset(linked);
  return {};
}

Module::Module(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Module::~Module() = default;

const Digest& Module::digest() const { return impl_->digest; }
const std::optional<Manifest>& Module::manifest() const { return impl_->manifest; }
bool Module::exports_function(std::string_view name) const {
  return impl_->functions.contains(name);
}

Result<void> Module::check_abi() const {
  if (!impl_->manifest)
    return fail(Errc::corrupt, "the module has no manifest: it was not built by aloft-cc");
  if (impl_->manifest->abi != kAbi) {
    return fail(Errc::version_mismatch, "the module is made for guest ABI " +
                                            std::to_string(impl_->manifest->abi) +
                                            ", this runtime has guest ABI " + std::to_string(kAbi));
  }
  const auto missing = [this](std::string_view name) {
    return fail(Errc::corrupt,
                "the module " + impl_->manifest->module + " lacks the export " + std::string(name));
  };
  if (!impl_->exports_memory) return missing("memory");
  for (const std::string_view name : kAbiFunctions) {
    if (!exports_function(name)) return missing(name);
  }
  if (!impl_->manifest->objects.empty()) {
    for (const std::string_view name : kObjectFunctions) {
      if (!exports_function(name)) return missing(name);
    }
  }
  for (const Manifest::Function& function : impl_->manifest->functions) {
    if (!exports_function(function.export_name)) return missing(function.export_name);
  }
  return {};
}

}  // namespace aloft::runtime
