// The policies behind the buttons of the live page.
#pragma once

#include <string>

#include <aloft/policy.h>

namespace aloft::device {

// Every call to one place, while there is an edge to go to. `needs` is that of the policy that it
// stands in for, so that what is learnt of both places goes on being learnt.
class ByHand final : public Policy {
 public:
  ByHand(Place place, Needs needs) : place_(place), needs_(needs) {}

  [[nodiscard]] Decision decide(const CallContext& context) const override {
    if (place_ == Place::here) return {.place = Place::here, .reason = "by hand: on the device"};
    if (!context.edge_ready)
      return {.place = Place::here, .reason = "by hand: at the edge, but no edge is ready"};
    return {.place = Place::edge, .reason = "by hand: at the edge"};
  }
  [[nodiscard]] Needs needs() const override { return needs_; }
  [[nodiscard]] std::string name() const override {
    return place_ == Place::here ? "by hand: on the device" : "by hand: at the edge";
  }

 private:
  const Place place_;
  const Needs needs_;
};

}  // namespace aloft::device
