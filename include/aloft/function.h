// What an application has of its elastic functions beside calling them: the Future that an `_async`
// twin returns, and deadlines of single calls. Settings of whole functions are in
// function_settings.h.
//
//   auto objects = detect_object_async(frame);          // begun; anything else may be done now
//   Result<std::vector<Detection>> found = objects.get();
//
//   Task track(aloft::Image frame) {                     // in a coroutine of whatever library
//     Result<std::vector<Detection>> found = co_await detect_object_async(frame);
//     ...                                                // on a thread of the runtime
//   }
#pragma once

#include <chrono>
#include <coroutine>
#include <memory>
#include <optional>
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
  class Awaiter;

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
  // call). Errors:
  //   trapped             the function gave up by abort_call, or trapped at the edge
  //   internal            it threw something else natively
  //   deadline_exceeded   no result within its deadline (FunctionSettings, DeadlineScope)
  //   cancelled           cancel(), or the runtime ended
  //   overloaded          RuntimeOptions::max_calls are under way; nothing was begun
  //   interrupted         it has effects, and its edge was lost while it may have run
  // and with Fallback::none why the last edge could not do it: unreachable, overloaded, refused,
  // version_mismatch, signature_mismatch, resource_exhausted, not_found, protocol, ...
  [[nodiscard]] Result<R> get() {
    if (call_ == nullptr) return fail(Errc::invalid_argument, "this future has no call");
    detail::wait(*call_);
    return call_->take_result();
  }
  // Asks the call to end early, at the edge and here: get() then gives `cancelled`, unless it has
  // ended already, or it runs here and its body returns all the same: only its inference is torn
  // down.
  void cancel() {
    if (call_ != nullptr) detail::cancel(*call_);
  }
  // Only after get() returned, or ready() was true.
  [[nodiscard]] const CallRecord& record() const { return call_->record; }

  // What get() gives, without a thread that waits: the coroutine goes on, on the awaiting thread,
  // if the call has ended, else later on one of the runtime's RuntimeOptions::local_workers
  // threads, before other calls that wait there. (A call of an elastic object's method: on the
  // thread that carries its channel.) It must not block such a thread for long, nor destroy the
  // runtime there; nor may a coroutine be destroyed that is suspended here.
  [[nodiscard]] Awaiter operator co_await() & { return Awaiter(*this); }
  [[nodiscard]] Awaiter operator co_await() && { return Awaiter(*this); }

 private:
  void abandon() {
    if (call_ != nullptr) detail::abandon(*call_);
  }

  std::unique_ptr<detail::CallFor<R>> call_;
};

// Lives in the coroutine's frame while it is suspended.
template <class R>
class Future<R>::Awaiter final : private detail::Task {
 public:
  explicit Awaiter(Future& future) : future_(future) {}
  [[nodiscard]] bool await_ready() const { return !future_.valid() || future_.ready(); }
  [[nodiscard]] bool await_suspend(std::coroutine_handle<> waiting) {
    waiting_ = waiting;
    return future_.call_->completion().then(*this);
  }
  [[nodiscard]] Result<R> await_resume() { return future_.get(); }

 private:
  void run_here() override { waiting_.resume(); }

  Future& future_;
  std::coroutine_handle<> waiting_;
};

// While it lives, each elastic call that this thread makes has this long, from the call to its
// result, in place of its function's setting. Scopes nest; the innermost counts.
//
//   const aloft::DeadlineScope within(20ms);
//   auto pose = estimate_pose(frame);  // throws CallFailed (deadline_exceeded) after 20 ms
class DeadlineScope {
 public:
  explicit DeadlineScope(std::chrono::nanoseconds deadline);
  ~DeadlineScope();
  DeadlineScope(const DeadlineScope&) = delete;
  DeadlineScope& operator=(const DeadlineScope&) = delete;

 private:
  std::optional<std::chrono::nanoseconds> outer_;
};

}  // namespace aloft
