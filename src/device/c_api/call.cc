// Calls of functions and methods by name.
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "device/c_api/runtime_handle.h"
#include <aloft/function.h>
#include <aloft/object.h>

using aloft::Errc;
using aloft::fail;
using aloft::Location;
using aloft::Result;
using aloft::c_api::Bytes;
using aloft::c_api::bytes_of;
using aloft::c_api::BytesCall;
using aloft::c_api::guarded;
using aloft::c_api::is_null;
using aloft::c_api::Target;

struct aloft_future {
  aloft_future(const Target& its_target, const aloft_runtime& runtime, Bytes its_arguments)
      : modules(runtime.modules),
        target(its_target),
        arguments(std::move(its_arguments)),
        call(target, arguments) {}
  ~aloft_future() { aloft::detail::abandon(call); }
  aloft_future(const aloft_future&) = delete;
  aloft_future& operator=(const aloft_future&) = delete;

  // It may outlive its runtime.
  const std::vector<std::shared_ptr<aloft::c_api::LoadedModule>> modules;
  const Target target;
  const Bytes arguments;
  BytesCall call;
};

struct aloft_object {
  // Destroyed from the last to the first: the link waits for what runs.
  std::shared_ptr<aloft::c_api::LoadedModule> module;
  aloft::c_api::Vessel vessel;
  aloft::detail::ObjectLink link;
  aloft::detail::CalledObject called;
  aloft_runtime* runtime = nullptr;

  aloft_object(std::shared_ptr<aloft::c_api::LoadedModule> its_module,
               const aloft::detail::ObjectClass& its_class, Bytes state, aloft_runtime& its_runtime)
      : module(std::move(its_module)),
        vessel(std::move(state)),
        called{&link, &its_class, &vessel},
        runtime(&its_runtime) {}
};

namespace {

constexpr std::size_t kSmallestOptions =
    offsetof(aloft_call_options, place) + sizeof(aloft_call_options::place);

struct Wanted {
  bool at_any_edge = false;  // else by the place, else by the policy
  std::optional<Location> place;
  std::optional<std::chrono::nanoseconds> deadline;
};

Result<std::optional<Location>> place_of(int32_t place, const aloft_runtime& runtime) {
  if (place == ALOFT_BY_POLICY) return std::nullopt;
  if (place == ALOFT_HERE) return Location::here();
  if (place >= 0 && static_cast<std::size_t>(place) < runtime.runtime->edge_count())
    return Location::edge(static_cast<uint32_t>(place));
  return fail(Errc::invalid_argument, "the runtime has no place " + std::to_string(place));
}

Result<Wanted> wanted_of(const aloft_call_options* options, const Target& target,
                         const aloft_runtime& runtime) {
  // What cannot run here is not for a policy to decide.
  const bool edges_only = !target.native && target.function->object == nullptr;
  if (options == nullptr) return Wanted{.at_any_edge = edges_only, .place = {}, .deadline = {}};
  if (options->struct_size < kSmallestOptions) {
    return fail(Errc::invalid_argument,
                "aloft_call_options::struct_size is not set: use ALOFT_CALL_OPTIONS_INIT");
  }
  Wanted wanted;
  wanted.at_any_edge =
      options->place == ALOFT_ANY_EDGE || (options->place == ALOFT_BY_POLICY && edges_only);
  if (!wanted.at_any_edge) {
    auto place = place_of(options->place, runtime);
    if (!place) return std::unexpected(std::move(place.error()));
    wanted.place = *place;
  }
  if (options->struct_size >= sizeof(aloft_call_options) && options->deadline_ns != 0) {
    if (options->deadline_ns < 0)
      return fail(Errc::invalid_argument, "aloft_call_options::deadline_ns is below nothing");
    wanted.deadline = std::chrono::nanoseconds(options->deadline_ns);
  }
  return wanted;
}

// The scopes of a call, on this thread.
class Scopes {
 public:
  explicit Scopes(const Wanted& wanted) {
    if (wanted.at_any_edge) {
      place_.emplace(aloft::Place::edge);
    } else if (wanted.place) {
      place_.emplace(*wanted.place);
    }
    if (wanted.deadline) deadline_.emplace(*wanted.deadline);
  }

 private:
  std::optional<aloft::PlaceScope> place_;
  std::optional<aloft::DeadlineScope> deadline_;
};

Result<const Target*> find(const aloft_runtime& runtime, const char* function) {
  const auto found = runtime.targets.find(std::string_view(function));
  if (found != runtime.targets.end()) return &found->second;
  std::string names;
  for (const auto& [name, target] : runtime.targets)
    names.append(names.empty() ? "" : ", ").append(name);
  return fail(Errc::not_found, "the runtime has no function '" + std::string(function) + "'" +
                                   (names.empty() ? std::string(", for it has no module "
                                                                "(aloft_options_add_module)")
                                                  : "; these are: " + names));
}

Result<void> give(BytesCall& call, aloft_result** result) {
  auto bytes = call.take();
  if (!bytes) return std::unexpected(std::move(bytes.error()));
  auto made = std::make_unique<aloft_result>();
  made->bytes = *std::move(bytes);
  made->reason = call.record.reason.text();
  made->record = std::move(call.record);
  *result = made.release();
  return {};
}

Result<void> run(const Target& target, std::span<const std::byte> arguments,
                 aloft_result** result) {
  BytesCall call(target, arguments);
  // Within a native function, calls stay here, as calls of a guest do.
  if (aloft::detail::dispatching()) {
    aloft::detail::run(call);
  } else {
    call.run_native();
  }
  return give(call, result);
}

// What `act` does with the function of that name, in the scopes that the options ask for.
template <class Act>
Result<void> with_function(const aloft_runtime& runtime, const char* function,
                           const aloft_call_options* options, const Act& act) {
  const auto target = find(runtime, function);
  if (!target) return std::unexpected(target.error());
  if ((*target)->function->object != nullptr)
    return fail(Errc::invalid_argument, "it is a method: use aloft_object_call");
  const auto wanted = wanted_of(options, **target, runtime);
  if (!wanted) return std::unexpected(wanted.error());
  const Scopes scopes(*wanted);
  return act(**target);
}

}  // namespace

aloft_code aloft_call(aloft_runtime* runtime, const char* function, const uint8_t* arguments,
                      size_t size, const aloft_call_options* options, aloft_result** result,
                      aloft_error** error) {
  if (result != nullptr) *result = nullptr;
  return guarded(error, [&]() -> Result<void> {
    if (runtime == nullptr) return is_null("runtime");
    if (function == nullptr) return is_null("function");
    if (result == nullptr) return is_null("result");
    return with_function(*runtime, function, options, [&](const Target& target) {
      return run(target, bytes_of(arguments, size), result);
    });
  });
}

aloft_code aloft_call_start(aloft_runtime* runtime, const char* function, const uint8_t* arguments,
                            size_t size, const aloft_call_options* options, aloft_future** future,
                            aloft_error** error) {
  if (future != nullptr) *future = nullptr;
  return guarded(error, [&]() -> Result<void> {
    if (runtime == nullptr) return is_null("runtime");
    if (function == nullptr) return is_null("function");
    if (future == nullptr) return is_null("future");
    return with_function(*runtime, function, options, [&](const Target& target) -> Result<void> {
      const auto bytes = bytes_of(arguments, size);
      *future = new aloft_future(target, *runtime, Bytes(bytes.begin(), bytes.end()));
      aloft::detail::start((*future)->call);
      return {};
    });
  });
}

int aloft_future_ready(const aloft_future* future) {
  return future != nullptr && future->call.completion().is_done() ? 1 : 0;
}

aloft_code aloft_future_get(aloft_future* future, aloft_result** result, aloft_error** error) {
  if (result != nullptr) *result = nullptr;
  return guarded(error, [&]() -> Result<void> {
    if (future == nullptr) return is_null("future");
    if (result == nullptr) return is_null("result");
    aloft::detail::wait(future->call);
    return give(future->call, result);
  });
}

void aloft_future_cancel(aloft_future* future) {
  if (future != nullptr) aloft::detail::cancel(future->call);
}
void aloft_future_free(aloft_future* future) { delete future; }

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
    const auto found = find(*object->runtime, method);
    if (!found) return std::unexpected(found.error());
    if ((*found)->function->object != object->called.object_class)
      return fail(Errc::invalid_argument, "it is no method of the object's class");
    auto wanted = wanted_of(options, **found, *object->runtime);
    if (!wanted) return std::unexpected(wanted.error());
    // It follows its object.
    wanted->at_any_edge = false;
    wanted->place.reset();
    const Scopes scopes(*wanted);
    Target target = **found;
    target.object = &object->called;
    return run(target, bytes_of(arguments, size), result);
  });
}

aloft_code aloft_object_move(aloft_object* object, int32_t place, aloft_error** error) {
  return guarded(error, [&]() -> Result<void> {
    if (object == nullptr) return is_null("object");
    auto to = place_of(place, *object->runtime);
    if (!to) return std::unexpected(std::move(to.error()));
    if (!*to) return fail(Errc::invalid_argument, "an object moves here or to one edge");
    auto moved = aloft::detail::move_object(object->called, **to);
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
