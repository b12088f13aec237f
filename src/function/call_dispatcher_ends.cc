// Calls that an elastic end carries: methods of objects, which follow their object; and functions
// with effects at an edge, which an end runs once though links are lost. A call with effects that
// has a deadline, or must not run here, is not for an end: it follows its plan like a pure one, and
// is interrupted a little more easily.
#include <utility>

#include "function/call_dispatcher.h"
#include "function/elastic_calls.h"
#include "function/elastic_object.h"

namespace aloft::function {

using detail::ElasticCall;

bool CallDispatcher::has_terms(const KnownFunction& known) {
  return has_deadline(known) || known.settings.fallback == Fallback::none || known.edges_only;
}

EndCallTerms CallDispatcher::end_terms(const KnownFunction& known) const {
  if (!has_terms(known)) return {};
  const CallPlan::Rules its = rules(known, std::chrono::steady_clock::now());
  return {.deadline = its.deadline, .fallback = its.fallback};
}

bool CallDispatcher::run_at_end(ElasticCall& call, const KnownFunction& known,
                                const Decided& decided) {
  if (call.called_object() != nullptr) {
    elastic_object_of(*places_, call).run(call, end_terms(known));
    return true;
  }
  if (!known.function->once || !decided.edge || has_terms(known)) return false;
  const auto calls = places_->once(*known.function);
  if (!calls) {
    call.set_error(calls.error());
  } else {
    (*calls)->run(call, Location::edge(*decided.edge));
  }
  return true;
}

bool CallDispatcher::start_at_end(ElasticCall& call, const KnownFunction& known,
                                  const Decided& decided) {
  const bool of_object = call.called_object() != nullptr;
  const bool once = known.function->once && decided.edge && !has_terms(known);
  if (!of_object && !once) return false;
  if (!count_async(call, nullptr)) {
    tell_of(call.record);
    call.completion().finish();
    return true;
  }
  if (of_object) {
    elastic_object_of(*places_, call).start(call, end_terms(known));
    return true;
  }
  const auto calls = places_->once(*known.function);
  if (calls) {
    (*calls)->start(call, Location::edge(*decided.edge));
    return true;
  }
  call.set_error(calls.error());
  tell_of(call.record);
  tell(call);
  return true;
}

}  // namespace aloft::function
