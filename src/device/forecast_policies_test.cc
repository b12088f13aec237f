#include <chrono>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include <aloft/policy.h>

namespace aloft {
namespace {

using namespace std::chrono_literals;

CallContext context(std::chrono::nanoseconds here, std::chrono::nanoseconds edge,
                    std::optional<Place> before = std::nullopt) {
  return {.function = "demo::f",
          .number = 100,
          .edge_ready = true,
          .input_bytes = 1000,
          .before = before,
          .here = Forecast{.p50 = here, .p90 = here * 2, .millijoules = 20, .observations = 9},
          .edge = Forecast{.p50 = edge, .p90 = edge * 2, .millijoules = 10, .observations = 9}};
}

TEST(MinLatency, goes_where_less_time_is_predicted_and_says_how_much) {
  const auto policy = min_latency_policy();
  EXPECT_EQ(policy->needs(), Needs::forecasts);
  const Decision remote = policy->decide(context(140ms, 31ms));
  EXPECT_EQ(remote.place, Place::edge);
  EXPECT_EQ(remote.reason.text(), "remote: predicted 31 ms there, 140 ms here");
  const Decision here = policy->decide(context(2400us, 31ms));
  EXPECT_EQ(here.place, Place::here);
  EXPECT_EQ(here.reason.text(), "here: predicted 2.4 ms here, 31 ms there");
}

TEST(MinLatency, changes_for_a_small_gain_only_when_it_has_stayed_a_while) {
  const auto policy = min_latency_policy();
  CallContext just_changed = context(100ms, 90ms, Place::here);
  just_changed.since_change = 10ms;
  const Decision stays = policy->decide(just_changed);
  EXPECT_EQ(stays.place, Place::here);
  EXPECT_EQ(stays.reason.text(),
            "stays here: predicted 100 ms here, 90 ms there, which is not yet worth a change");
  CallContext later = just_changed;
  later.since_change = 10s;
  EXPECT_EQ(policy->decide(later).place, Place::edge);
  CallContext large = context(100ms, 50ms, Place::here);
  large.since_change = 10ms;
  EXPECT_EQ(policy->decide(large).place, Place::edge);
}

TEST(MinLatency, is_the_same_for_the_same_context) {
  const auto policy = min_latency_policy();
  const CallContext same = context(100ms, 90ms, Place::edge);
  const Decision first = policy->decide(same);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(policy->decide(same).place, first.place);
    EXPECT_EQ(policy->decide(same).reason, first.reason);
  }
}

TEST(MinLatency, stays_here_without_an_edge_and_until_it_knows_one) {
  const auto policy = min_latency_policy();
  CallContext without = context(100ms, 50ms);
  without.edge_ready = false;
  EXPECT_EQ(policy->decide(without).place, Place::here);
  CallContext unknown = context(100ms, 50ms);
  unknown.edge.reset();
  EXPECT_EQ(policy->decide(unknown).place, Place::here);
  EXPECT_EQ(policy->decide(unknown).reason.code(), ReasonCode::learns_edge);
}

TEST(MinLatency, tries_the_edge_out_with_a_call_that_runs_here_as_well) {
  CallContext may = context(30ms, 50ms, Place::here);
  may.try_out = Place::edge;
  may.edge->age = 4s;
  const Decision tries = min_latency_policy()->decide(may);
  EXPECT_EQ(tries.place, Place::edge);
  EXPECT_TRUE(tries.tries);
  EXPECT_EQ(tries.hedge, 0ns);
  EXPECT_EQ(tries.reason.text(), "tried out there: predicted 50 ms, last known 4000 ms ago");
}

TEST(MinLatency, gives_an_edge_that_has_never_answered_the_time_of_a_run_here) {
  CallContext unmet = context(30ms, 50ms, Place::here);
  unmet.try_out = Place::edge;
  unmet.edge.reset();
  const Decision tries = min_latency_policy()->decide(unmet);
  EXPECT_EQ(tries.hedge, 30ms);
  EXPECT_EQ(tries.reason.text(), "tried out there: how long it takes is not known yet");
}

TEST(Cool, leaves_the_device_before_it_reaches_its_limit) {
  const auto policy = cool_policy(75, local_policy());
  CallContext cool = context(10ms, 50ms, Place::here);
  cool.device.cpu_celsius = 60;
  EXPECT_EQ(policy->decide(cool).place, Place::here);
  EXPECT_EQ(policy->decide(cool).reason.text(), "local: always here");
  cool.device.cpu_celsius = 71;
  EXPECT_EQ(policy->decide(cool).reason.text(), "local: always here; CPU 71 C nears 75 C");
  cool.device.cpu_celsius = 74.8;
  const Decision hot = policy->decide(cool);
  EXPECT_EQ(hot.place, Place::edge);
  EXPECT_EQ(hot.reason.text(), "remote: CPU 75 C is close to 75 C");
}

TEST(Cool, leaves_earlier_while_the_temperature_rises_fast) {
  const auto policy = cool_policy(75, local_policy());
  CallContext rising = context(500ms, 50ms, Place::here);
  rising.device.cpu_celsius = 73.5;
  EXPECT_EQ(policy->decide(rising).place, Place::here);
  rising.device.cpu_celsius_per_second = 2;
  EXPECT_EQ(policy->decide(rising).place, Place::edge);
}

TEST(Cool, comes_back_only_when_it_has_cooled_down_a_little) {
  const auto policy = cool_policy(75, local_policy());
  CallContext at_edge = context(10ms, 50ms, Place::edge);
  at_edge.device.cpu_celsius = 74.2;
  EXPECT_EQ(policy->decide(at_edge).place, Place::edge);
  at_edge.before = Place::here;
  EXPECT_EQ(policy->decide(at_edge).place, Place::here);
}

TEST(Cool, without_a_sensor_asks_its_inner_policy_and_says_so) {
  const auto policy = cool_policy(75);
  const Decision decision = policy->decide(context(140ms, 31ms));
  EXPECT_EQ(decision.place, Place::edge);
  EXPECT_EQ(decision.reason.text(),
            "remote: predicted 31 ms there, 140 ms here; no sensor tells whether 75 C is near");
}

TEST(Deadline, overrules_what_it_asks_only_where_the_deadline_would_be_missed) {
  const auto policy = deadline_policy(100ms, local_policy());
  EXPECT_EQ(policy->decide(context(40ms, 10ms)).place, Place::here);
  const Decision overruled = policy->decide(context(80ms, 10ms));
  EXPECT_EQ(overruled.place, Place::edge);
  EXPECT_EQ(overruled.reason.text(),
            "remote: nine in ten calls within 20 ms, the deadline is 100 ms");
  const Decision missed = policy->decide(context(200ms, 90ms));
  EXPECT_EQ(missed.place, Place::edge) << "it comes closer";
  EXPECT_EQ(missed.reason.code(), ReasonCode::deadline_missed_edge);
  EXPECT_EQ(deadline_policy(100ms, remote_policy())->decide(context(10ms, 40ms)).place,
            Place::edge);
}

TEST(Deadline, is_the_calls_own_where_that_is_shorter) {
  CallContext soon = context(40ms, 10ms);
  soon.deadline = 50ms;
  EXPECT_EQ(deadline_policy(100ms)->decide(soon).place, Place::edge);
}

TEST(MinEnergy, goes_where_less_energy_is_predicted_and_says_that_a_model_says_so) {
  const Decision modelled = min_energy_policy()->decide(context(10ms, 50ms));
  EXPECT_EQ(modelled.place, Place::edge);
  EXPECT_EQ(modelled.reason.text(),
            "remote: predicted 10 mJ there, 20 mJ here; by a model, there is no sensor");
  CallContext measured = context(10ms, 50ms);
  measured.here->energy_measured = measured.edge->energy_measured = true;
  EXPECT_EQ(min_energy_policy()->decide(measured).reason.text(),
            "remote: predicted 10 mJ there, 20 mJ here");
}

TEST(PolicyByName, makes_each_of_them_and_those_that_ask_another_one) {
  for (const char* name :
       {"local", "remote", "every:50", "min_latency", "deadline:50ms", "deadline:50", "cool:75",
        "cool:75C", "min_energy", "cool:75:min_energy", "deadline:40ms:cool:70:every:3"}) {
    const auto policy = policy_by_name(name);
    EXPECT_TRUE(policy.has_value()) << name;
  }
  const auto composed = policy_by_name("cool:75:local").value();
  CallContext cool = context(100ms, 10ms);
  cool.device.cpu_celsius = 20;
  EXPECT_EQ(composed->decide(cool).place, Place::here);
  EXPECT_EQ(policy_by_name("every:2")
                .value()
                ->decide({.function = "demo::f", .number = 2, .edge_ready = true})
                .place,
            Place::edge);
}

TEST(PolicyByName, takes_the_name_that_a_policy_gives_itself) {
  for (const char* name : {"local", "remote", "every:50", "min_latency", "deadline:50ms:local",
                           "min_energy", "deadline:12.5ms:cool:70:every:3"})
    EXPECT_EQ(policy_by_name(name).value()->name(), name);
  EXPECT_EQ(policy_by_name("cool:75C").value()->name(), "cool:75:min_latency");
}

TEST(PolicyByName, refuses_what_is_none_and_says_what_there_is) {
  for (const char* name : {"", "locl", "every", "every:0", "every:many", "every:5:local", "local:3",
                           "deadline", "deadline:soon", "cool:75:", "cool:75:hot", "cool:-3"}) {
    const auto policy = policy_by_name(name);
    ASSERT_FALSE(policy.has_value()) << name;
    EXPECT_EQ(policy.error().code, Errc::invalid_argument);
    EXPECT_NE(policy.error().message.find("min_latency"), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace aloft
