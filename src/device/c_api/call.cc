// Calls of functions by name.
#include <memory>
#include <utility>
#include <vector>

#include "device/c_api/invocation.h"

using aloft::Result;
using aloft::c_api::Bytes;
using aloft::c_api::bytes_of;
using aloft::c_api::BytesCall;
using aloft::c_api::find_function;
using aloft::c_api::give;
using aloft::c_api::guarded;
using aloft::c_api::is_null;
using aloft::c_api::Scopes;
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

namespace {

// What `act` does with the function of that name, in the scopes that the options ask for.
template <class Act>
Result<void> with_function(const aloft_runtime& runtime, const char* function,
                           const aloft_call_options* options, const Act& act) {
  const auto target = find_function(runtime, function, "aloft_object_call");
  if (!target) return std::unexpected(target.error());
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
      return aloft::c_api::run(target, bytes_of(arguments, size), result);
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
