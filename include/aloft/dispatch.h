// What the code that aloft-cc generates calls. Application code uses function.h and runtime.h;
// everything in aloft::detail is between generated code and runtime.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <aloft/detail/binding.h>
#include <aloft/detail/elastic_call.h>
#include <aloft/function.h>
#include <aloft/result.h>
#include <aloft/runtime.h>

namespace aloft {
namespace detail {

// The dispatching function's body: decides the place, runs `here` or the guest, falls back to
// `here`.
//   std::vector<Detection> detect_object(const aloft::Image& frame) {
//     return aloft::detail::call<std::vector<Detection>, const aloft::Image&>(kFunctions[0],
//     &detect_object_aloft_here,
//                                                                            frame);
//   }
// Unbound, and within a tagged body, where calls stay in place as they do in a guest, this is a
// plain call. Throws what `here` throws; CallFailed when no place could do it.
template <class R, class... P>
R call(const FunctionDescriptor& function, R (*here)(P...), P... arguments) {
  if (!dispatching()) return here(std::forward<P>(arguments)...);
  CallOf<R, P...> call(function, here, std::forward<P>(arguments)...);
  run(call);
  return call.take_or_throw();
}

// Unbound, and within a tagged body, the call has ended when this returns.
template <class R, class... P>
Future<R> call_async(const FunctionDescriptor& function, R (*here)(P...), P... arguments) {
  auto call = std::make_unique<CallOf<R, P...>>(function, here, std::forward<P>(arguments)...);
  start(*call);
  return Future<R>(std::move(call));
}

}  // namespace detail
}  // namespace aloft
