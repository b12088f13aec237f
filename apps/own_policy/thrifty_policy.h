// A policy of one's own: saves the battery where there is one, and is fast otherwise.
//
//   options.policy = std::make_shared<ThriftyPolicy>();
#pragma once

#include <memory>
#include <string>

#include <aloft/policy.h>

class ThriftyPolicy final : public aloft::Policy {
 public:
  [[nodiscard]] aloft::Needs needs() const override { return aloft::Needs::forecasts; }
  [[nodiscard]] std::string name() const override { return "thrifty"; }
  [[nodiscard]] aloft::Decision decide(const aloft::CallContext& context) const override {
    const auto battery = context.device.battery_percent;
    if (!battery || context.device.mains == true || *battery > 30) return fast_->decide(context);
    if (!context.edge_ready || context.link.round_trip > std::chrono::milliseconds(80))
      return {aloft::Place::here, "thrifty: the edge is too far away"};
    return {aloft::Place::edge,
            {"thrifty: {} % of the battery are left", static_cast<std::uint64_t>(*battery)}};
  }

 private:
  const std::shared_ptr<aloft::Policy> fast_ = aloft::min_latency_policy();
};
