// Modules read from files, and native versions of their functions.
#include <string>
#include <utility>

#include "device/c_api/handles.h"

using aloft::Result;
using aloft::c_api::Bytes;
using aloft::c_api::bytes_of;
using aloft::c_api::guarded;
using aloft::c_api::is_null;
using aloft::c_api::LoadedModule;

aloft_code aloft_module_open(const char* file, aloft_module** module, aloft_error** error) {
  if (module != nullptr) *module = nullptr;
  return guarded(error, [&]() -> Result<void> {
    if (file == nullptr) return is_null("file");
    if (module == nullptr) return is_null("module");
    auto read = LoadedModule::read(file);
    if (!read) return std::unexpected(std::move(read.error()));
    *module = new aloft_module{*std::move(read)};
    return {};
  });
}

void aloft_module_close(aloft_module* module) { delete module; }

const char* aloft_module_name(const aloft_module* module) {
  return module == nullptr ? nullptr : module->module->manifest().module.c_str();
}
const char* aloft_module_digest(const aloft_module* module) {
  return module == nullptr ? nullptr : module->module->digest().c_str();
}
size_t aloft_module_function_count(const aloft_module* module) {
  return module == nullptr ? 0 : module->module->manifest().functions.size();
}
const char* aloft_module_function_name(const aloft_module* module, size_t index) {
  return index < aloft_module_function_count(module)
             ? module->module->manifest().functions[index].name.c_str()
             : nullptr;
}
const char* aloft_module_function_signature(const aloft_module* module, size_t index) {
  return index < aloft_module_function_count(module)
             ? module->module->manifest().functions[index].signature.c_str()
             : nullptr;
}

void aloft_reply_set(aloft_reply* reply, const uint8_t* result, size_t size) {
  (void)guarded(nullptr, [&]() -> Result<void> {
    const auto bytes = bytes_of(result, size);
    reply->answer = Bytes(bytes.begin(), bytes.end());
    return {};
  });
}
void aloft_reply_fail(aloft_reply* reply, aloft_code code, const char* message) {
  (void)guarded(nullptr, [&]() -> Result<void> {
    reply->answer =
        aloft::fail(code == ALOFT_OK ? aloft::Errc::internal : static_cast<aloft::Errc>(code),
                    message == nullptr ? "" : message);
    return {};
  });
}

aloft_code aloft_module_set_native(aloft_module* module, const char* function, aloft_native native,
                                   void* context, aloft_error** error) {
  return guarded(error, [&]() -> Result<void> {
    if (module == nullptr) return is_null("module");
    if (function == nullptr) return is_null("function");
    if (native == nullptr) return is_null("native");
    return module->module->set_native(
        function, [native, context](std::span<const std::byte> arguments) -> Result<Bytes> {
          aloft_reply reply;
          native(context, reinterpret_cast<const uint8_t*>(arguments.data()), arguments.size(),
                 &reply);
          return std::move(reply.answer);
        });
  });
}
