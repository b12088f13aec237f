#include "thrifty_policy.h"

#include <chrono>

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using aloft::CallContext;
using aloft::Forecast;
using aloft::Place;

CallContext context(double battery_percent, std::chrono::nanoseconds round_trip) {
  CallContext context{.function = "demo::f", .edge_ready = true};
  context.here = Forecast{.p50 = 10ms, .p90 = 12ms};
  context.edge = Forecast{.p50 = 40ms, .p90 = 60ms};
  context.device.battery_percent = battery_percent;
  context.link.round_trip = round_trip;
  return context;
}

TEST(ThriftyPolicy, is_fast_while_the_battery_is_full_or_charged) {
  const ThriftyPolicy policy;
  EXPECT_EQ(policy.decide(context(80, 10ms)).place, Place::here);
  CallContext charged = context(10, 10ms);
  charged.device.mains = true;
  EXPECT_EQ(policy.decide(charged).place, Place::here);
}

TEST(ThriftyPolicy, spares_a_battery_that_is_low_unless_the_edge_is_far_away) {
  const ThriftyPolicy policy;
  const aloft::Decision spares = policy.decide(context(12, 10ms));
  EXPECT_EQ(spares.place, Place::edge);
  EXPECT_EQ(spares.reason.text(), "thrifty: 12 % of the battery are left");
  EXPECT_EQ(policy.decide(context(12, 200ms)).place, Place::here);
}

TEST(ThriftyPolicy, is_fast_on_a_device_without_a_battery) {
  const ThriftyPolicy policy;
  CallContext without = context(0, 10ms);
  without.device.battery_percent.reset();
  EXPECT_EQ(policy.decide(without).place, Place::here);
}

}  // namespace
