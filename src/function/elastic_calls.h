// Elastic calls over an elastic end: methods of elastic objects, and functions with effects. The
// call's arguments are a message, its result is the answer.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "function/elastic_end.h"
#include <aloft/detail/elastic_call.h>
#include <aloft/function_settings.h>
#include <aloft/place.h>

namespace aloft::function {

// What a call asks for.
struct EndCallTerms {
  // Its caller is told `deadline_exceeded` then. What has left is run all the same, and its result
  // is dropped.
  std::optional<std::chrono::steady_clock::time_point> deadline;
  // none: an object that came here only because its edge was lost does not take it.
  Fallback fallback = Fallback::here;
};

// A handle, cheap to copy. Thread rule: any thread.
class ElasticCalls {
 public:
  explicit ElasticCalls(std::shared_ptr<ElasticEnd> end) : end_(std::move(end)) {}

  // Runs the call to its end, where the end is. Its result, exception or error is set then, and
  // the record's place and latency.
  void run(detail::ElasticCall& call, const EndCallTerms& terms = {}) const;
  // Begins the call. It ends once, by EndPlacesOptions::on_settled.
  void start(detail::ElasticCall& call, const EndCallTerms& terms = {}) const;
  // The same, once the end is at `to`; where that fails, where it is.
  void run(detail::ElasticCall& call, Location to) const;
  void start(detail::ElasticCall& call, Location to) const;
  // Ends a call that was started with `cancelled`, unless its result is there. What has left is
  // still run, and its result is dropped.
  static void cancel(detail::ElasticCall& call);

  [[nodiscard]] ElasticEnd& end() const { return *end_; }

 private:
  class Waited;
  void wait_for(detail::ElasticCall& call, channel::SharedBytes arguments,
                const EndCallTerms& terms) const;
  // Why the end does not take the call; nothing otherwise.
  [[nodiscard]] std::optional<Error> refusal(const EndCallTerms& terms) const;
  class Async;

  std::shared_ptr<ElasticEnd> end_;
};

// The arguments' bytes. Errors: invalid_argument (longer than can be encoded).
[[nodiscard]] Result<channel::SharedBytes> encoded_arguments(const detail::ElasticCall& call);

}  // namespace aloft::function
