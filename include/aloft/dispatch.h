// What the code that aloft-cc generates calls, and the Future that an `_async` twin returns.
//
// Application code uses Future and CallFailed only; everything in aloft::detail is between
// generated code and runtime.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <aloft/detail/binding.h>
#include <aloft/detail/elastic_call.h>
#include <aloft/result.h>
#include <aloft/runtime.h>

namespace aloft {

// The result of a call that is under way. Arguments passed by reference, and what borrowed
// arguments point to, must stay valid and unchanged until the result is there or the Future is
// destroyed. Destroying it before that gives the call up, and waits until nothing uses the
// arguments any more. Thread rule: one thread at a time.
template <class R>
class Future {
 public:
  Future() = default;  // no call
  explicit Future(std::unique_ptr<detail::CallFor<R>> call) : call_(std::move(call)) {}
  Future(Future&&) noexcept = default;
  Future& operator=(Future&& other) noexcept {
    if (this != &other) {
      abandon();
      call_ = std::move(other.call_);
    }
    return *this;
  }
  ~Future() { abandon(); }

  // Whether there is a call.
  [[nodiscard]] bool valid() const { return call_ != nullptr; }
  // Whether get() would not wait.
  [[nodiscard]] bool ready() const { return call_ != nullptr && call_->completion().is_done(); }
  // Waits for the call's end and takes the result; once (invalid_argument after that, and without a
  // call). Errors: trapped (the function gave up by abort_call, or trapped at the edge), cancelled
  // (the runtime ended), internal (the function threw something else natively).
  [[nodiscard]] Result<R> get() {
    if (call_ == nullptr) return fail(Errc::invalid_argument, "this future has no call");
    call_->completion().wait();
    return call_->take_result();
  }
  // Only after get() returned, or ready() was true.
  [[nodiscard]] const CallRecord& record() const { return call_->record; }

 private:
  void abandon() {
    if (call_ != nullptr) detail::abandon(*call_);
  }

  std::unique_ptr<detail::CallFor<R>> call_;
};

namespace detail {

// The dispatching function's body: decides the place, runs `here` or the guest, falls back to
// `here`.
//   std::vector<Detection> detect_object(const aloft::Image& frame) {
//     return aloft::detail::call<std::vector<Detection>, const aloft::Image&>(kFunctions[0],
//     &detect_object_aloft_here,
//                                                                            frame);
//   }
// Unbound, and within a tagged body, where calls stay in place as they do in a guest, this is a
// plain call. Throws what `here` throws; CallFailed when the guest trapped.
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
