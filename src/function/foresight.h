// Who tells a policy that needs forecasts what it needs, and learns from how its calls went: the
// UE's control plane (device/outlook.h), as far as the dispatcher sees of it.
//
// Asked and told of every call while the policy needs forecasts, and of none otherwise.
#pragma once

#include <cstdint>

#include "function/call_plan.h"
#include <aloft/call_record.h>
#include <aloft/policy.h>

namespace aloft::function {

// Thread rule: any thread, several at once; must not block for long.
class Foresight {
 public:
  virtual ~Foresight() = default;
  // Completes a context that has function, number, edge_ready, input_bytes and deadline. `edge`:
  // where the call would go.
  virtual void foresee(CallContext& context, EdgeIndex edge) = 0;
  // What the policy made of it; the call begins. `number`: CallRecord::number.
  virtual void decided(const CallContext& context, const Decision& decision,
                       std::uint64_t number) = 0;
  // Also of calls whose place was asked for.
  virtual void ended(const CallRecord& record) = 0;
};

}  // namespace aloft::function
