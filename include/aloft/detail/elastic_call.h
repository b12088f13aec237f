// One elastic call: its arguments, where its result goes, and what happened to it, without its
// types for the dispatcher (ElasticCall) and with them for the caller (CallOf).
//
// A call in the synchronous form lives on its caller's stack and allocates nothing of its own; one
// in the asynchronous form belongs to its Future. Thread rule: handed from the caller to the
// dispatcher and back by run(), start() and the completion; one thread at a time in between.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

#include <aloft/codec.h>
#include <aloft/detail/binding.h>
#include <aloft/result.h>
#include <aloft/runtime.h>

namespace aloft {

// A failure of an elastic call that no place could make good. Thrown by the synchronous form of an
// elastic function only (its result type has no room for an error); Future::get() returns the Error
// instead, and lists the codes.
class CallFailed : public std::exception {
 public:
  explicit CallFailed(Error error) : error_(std::make_shared<const Error>(std::move(error))) {}
  [[nodiscard]] const char* what() const noexcept override { return error_->message.c_str(); }
  [[nodiscard]] const Error& error() const noexcept { return *error_; }

 private:
  std::shared_ptr<const Error> error_;  // shared, since copying an exception must not throw
};

namespace detail {

struct CalledObject;  // object_link.h

// Something that a thread of the runtime runs. Its owner keeps it until it has run.
class Task {
 public:
  virtual void run_here() = 0;  // may destroy the task

 protected:
  ~Task() = default;
};

// Told once that something has ended. Whoever waits, or is run, may destroy it from then on.
class Completion {
 public:
  // Runs, on this thread, what was to be run then.
  void finish() {
    if (Task* const next = end()) next->run_here();
  }
  // The same, and answers what is to be run now, or null.
  [[nodiscard]] Task* end() {
    // Under the lock to its end: the waiter, who may destroy this, goes on only after it is
    // released.
    const std::lock_guard lock(mutex_);
    done_.store(true, std::memory_order_release);
    changed_.notify_all();
    return std::exchange(next_, nullptr);
  }
  // `next` is to be run at the end, in place of waiting. False: it has ended, and nothing is run.
  [[nodiscard]] bool then(Task& next) {
    const std::lock_guard lock(mutex_);
    if (done_.load(std::memory_order_relaxed)) return false;
    next_ = &next;
    return true;
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_.load(std::memory_order_relaxed); });
  }
  // False when `deadline` came first.
  [[nodiscard]] bool wait_until(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, deadline,
                               [&] { return done_.load(std::memory_order_relaxed); });
  }
  // Does not make it safe to destroy this yet: wait() first.
  [[nodiscard]] bool is_done() const { return done_.load(std::memory_order_acquire); }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> done_ = false;
  Task* next_ = nullptr;
};

class ElasticCall {
 public:
  // What the dispatcher keeps with an asynchronous call.
  class Attachment {
   public:
    virtual ~Attachment() = default;
  };

  explicit ElasticCall(const FunctionDescriptor& function) : function_(function) {
    record.function = function.qualified_name;
  }
  virtual ~ElasticCall() = default;
  ElasticCall(const ElasticCall&) = delete;
  ElasticCall& operator=(const ElasticCall&) = delete;

  [[nodiscard]] const FunctionDescriptor& function() const { return function_; }
  // The object whose method is called; null: it is a function.
  [[nodiscard]] virtual const CalledObject* called_object() const { return nullptr; }
  [[nodiscard]] Completion& completion() { return completion_; }
  [[nodiscard]] const Completion& completion() const { return completion_; }

  // Runs the native function and keeps its result or its exception. At most once; arguments may be
  // moved from then.
  void run_native() noexcept {
    try {
      call_native();
    } catch (...) {
      exception_ = std::current_exception();
    }
  }
  // Appends the arguments, borrowing what is large: they stay untouched as long as `writer` is
  // used.
  virtual void encode(codec::Writer& writer) const = 0;
  // Keeps the result that `bytes` say. Errors: protocol.
  [[nodiscard]] virtual Result<void> decode(std::span<const std::byte> bytes) = 0;
  // The call has this in place of a result; one that it had is given up.
  void set_error(Error error) {
    record.error = std::move(error);
    exception_ = nullptr;
  }
  // Writes the exception of the native function, if there is one, into the record.
  void record_exception() {
    if (has_exception()) record.error = exception_as_error();
  }

  // The exception of the native function as an Error: a CallFailed's own, else internal. Only when
  // there is one.
  [[nodiscard]] Error exception_as_error() const;
  [[nodiscard]] bool has_exception() const { return exception_ != nullptr; }

  CallRecord record;
  std::unique_ptr<Attachment> attachment;

 protected:
  virtual void call_native() = 0;
  [[noreturn]] void throw_failure() const;  // the exception, or the error as CallFailed

 private:
  const FunctionDescriptor& function_;
  std::exception_ptr exception_;
  Completion completion_;
};

// With the result's type.
template <class R>
class CallFor : public ElasticCall {
  static_assert(std::is_object_v<R>, "an elastic function returns a value");

 public:
  using ElasticCall::ElasticCall;

  [[nodiscard]] Result<void> decode(std::span<const std::byte> bytes) final {
    Result<R> decoded = codec::decode<R>(bytes);
    if (!decoded) return std::unexpected(std::move(decoded.error()));
    result_.emplace(*std::move(decoded));
    return {};
  }

  // The result, once; else why there is none.
  [[nodiscard]] Result<R> take_result() {
    if (has_exception()) return std::unexpected(exception_as_error());
    if (record.error.has_value()) return std::unexpected(*record.error);
    if (result_.has_value()) {
      Result<R> taken(std::move(*result_));
      result_.reset();
      return taken;
    }
    return fail(Errc::invalid_argument, "the result was taken before");
  }
  [[nodiscard]] R take_or_throw() {
    if (has_exception() || record.error.has_value() || !result_.has_value()) throw_failure();
    return *std::move(result_);
  }

 protected:
  std::optional<R> result_;
};

// With the parameters' types: values are kept, references stay references.
template <class R, class... P>
class CallOf final : public CallFor<R> {
  static_assert((!std::is_rvalue_reference_v<P> && ...),
                "an elastic function takes no rvalue references");

 public:
  CallOf(const FunctionDescriptor& function, R (*here)(P...), P&&... arguments)
      : CallFor<R>(function), here_(here), arguments_(std::forward<P>(arguments)...) {}

  void encode(codec::Writer& writer) const override {
    std::apply([&](const auto&... argument) { codec::write_arguments(writer, argument...); },
               arguments_);
  }

 private:
  void call_native() override {
    this->result_.emplace(std::apply(
        [&](auto&... argument) { return here_(std::forward<P>(argument)...); }, arguments_));
  }

  R (*here_)(P...);
  std::tuple<P...> arguments_;
};

}  // namespace detail
}  // namespace aloft
