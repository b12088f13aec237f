// Calls that an end carries: methods of elastic objects.
#include "function/call_dispatcher.h"

namespace aloft::function {

using detail::ElasticCall;

bool CallDispatcher::run_at_end(ElasticCall& call, Decided& decided) {
  // Without ends, an object stays where it was made.
  if (call.called_object() != nullptr) decided.edge.reset();
  return false;
}

bool CallDispatcher::start_at_end(ElasticCall& call, Decided& decided) {
  if (call.called_object() != nullptr) decided.edge.reset();
  return false;
}

bool CallDispatcher::cancel_at_end(ElasticCall&) { return false; }

}  // namespace aloft::function
