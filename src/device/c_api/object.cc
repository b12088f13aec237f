// Objects of modules that are no part of the program.
#include <memory>
#include <string>
#include <utility>

#include "device/c_api/invocation.h"
#include "device/c_api/object_handle.h"
#include <aloft/object.h>

using aloft::Errc;
using aloft::fail;
using aloft::Result;
using aloft::c_api::Bytes;
using aloft::c_api::bytes_of;
using aloft::c_api::find_method;
using aloft::c_api::guarded;
using aloft::c_api::is_null;
using aloft::c_api::place_of;
using aloft::c_api::Scopes;
using aloft::c_api::Target;
using aloft::c_api::wanted_of;

aloft_code aloft_object_new(aloft_runtime* runtime, const char* class_name, const uint8_t* state,
                            size_t size, aloft_object** object, aloft_error** error) {
  if (object != nullptr) *object = nullptr;
  return guarded(error, [&]() -> Result<void> {
    if (runtime == nullptr) return is_null("runtime");
    if (class_name == nullptr) return is_null("class_name");
    if (object == nullptr) return is_null("object");
    const auto bytes = bytes_of(state, size);
    if (bytes.empty())
      return fail(Errc::invalid_argument, "the state is a MessagePack array of the fields");
    for (const auto& module : runtime->modules) {
      const aloft::detail::ObjectClass* const found = module->find_class(class_name);
      if (found == nullptr) continue;
      *object = new aloft_object(module, *found, Bytes(bytes.begin(), bytes.end()), *runtime);
      return {};
    }
    return fail(Errc::not_found,
                "no module of the runtime has a class '" + std::string(class_name) + "'");
  });
}

aloft_code aloft_object_call(aloft_object* object, const char* method, const uint8_t* arguments,
                             size_t size, const aloft_call_options* options, aloft_result** result,
                             aloft_error** error) {
  if (result != nullptr) *result = nullptr;
  return guarded(error, [&]() -> Result<void> {
    if (object == nullptr) return is_null("object");
    if (method == nullptr) return is_null("method");
    if (result == nullptr) return is_null("result");
    const auto found = find_method(*object->runtime, *object->called.object_class, method);
    if (!found) return std::unexpected(found.error());
    auto wanted = wanted_of(options, **found, *object->runtime);
    if (!wanted) return std::unexpected(wanted.error());
    // It follows its object.
    wanted->at_any_edge = false;
    wanted->place.reset();
    const Scopes scopes(*wanted);
    Target target = **found;
    target.object = &object->called;
    return aloft::c_api::run(target, bytes_of(arguments, size), result);
  });
}

aloft_code aloft_object_move(aloft_object* object, int32_t place, aloft_error** error) {
  return guarded(error, [&]() -> Result<void> {
    if (object == nullptr) return is_null("object");
    const auto to = place_of(place, *object->runtime);
    if (!to) return std::unexpected(to.error());
    auto moved = aloft::detail::move_object(object->called, *to);
    if (!moved) return std::unexpected(std::move(moved.error()));
    return {};
  });
}

aloft_code aloft_object_state(const aloft_object* object, aloft_result** state,
                              aloft_error** error) {
  if (state != nullptr) *state = nullptr;
  return guarded(error, [&]() -> Result<void> {
    if (object == nullptr) return is_null("object");
    if (state == nullptr) return is_null("state");
    auto made = std::make_unique<aloft_result>();
    made->bytes = *object->vessel.state();
    *state = made.release();
    return {};
  });
}

void aloft_object_free(aloft_object* object) { delete object; }
