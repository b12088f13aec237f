#include "device/predictor.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <gtest/gtest.h>

namespace aloft::device {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::uint64_t kFrame = 1'000'000;  // bytes

double ms(nanoseconds time) { return std::chrono::duration<double, std::milli>(time).count(); }

// A device and its edge, calling one function again and again.
struct World {
  double here_ms = 100;
  double edge_run_ms = 10;
  double round_trip_ms = 20;
  double megabytes_a_second = 20;
  bool up = true;

  [[nodiscard]] double edge_ms() const {
    return edge_run_ms + round_trip_ms +
           1e3 * static_cast<double>(kFrame) / 1e6 / megabytes_a_second;
  }
};

class Calls {
 public:
  explicit Calls(PredictionOptions options = {}) : predictor(options) {}

  CallContext foresee(std::uint64_t bytes = kFrame) {
    CallContext context{
        .function = "demo::f", .number = number, .edge_ready = world.up, .input_bytes = bytes};
    predictor.foresee(context, 0, now);
    return context;
  }
  // Ends a call that went to `place`.
  CallRecord call(Place place, std::uint64_t bytes = kFrame) {
    return call(foresee(bytes), {.place = place, .reason = "test"});
  }
  CallRecord call(const CallContext& context, const Decision& decision) {
    link();
    predictor.on_decided(context, decision, number, now);
    CallRecord record;
    record.number = number++;
    record.function = "demo::f";
    record.input_bytes = context.input_bytes;
    const double size = static_cast<double>(context.input_bytes) / static_cast<double>(kFrame);
    const double here = world.here_ms;
    const double edge = world.edge_run_ms + world.round_trip_ms +
                        1e3 * size * static_cast<double>(kFrame) / 1e6 / world.megabytes_a_second;
    const bool hedged = decision.place == Place::edge && decision.hedge && here < edge;
    if (decision.place == Place::edge && !hedged) {
      record.place = Place::edge;
      record.location = Location::edge();
      record.latency = nanoseconds(static_cast<std::int64_t>(edge * 1e6));
      record.edge_run = nanoseconds(static_cast<std::int64_t>(world.edge_run_ms * 1e6));
      record.tx_bytes = context.input_bytes + 100;
      record.rx_bytes = 500;
    } else {
      record.latency = nanoseconds(static_cast<std::int64_t>(here * 1e6));
      record.here_run = record.latency;
      record.hedged = hedged;
    }
    now += record.latency;
    predictor.on_ended(record, now);
    return record;
  }
  void link() {
    predictor.on_link(
        0,
        {.up = world.up,
         .round_trip = nanoseconds(static_cast<std::int64_t>(world.round_trip_ms * 1e6))},
        now);
  }

  World world;
  Predictor predictor;
  Predictor::Time now{1h};
  std::uint64_t number = 0;
};

TEST(Predictor, says_nothing_of_what_it_has_not_seen) {
  Calls calls;
  const CallContext context = calls.foresee();
  EXPECT_FALSE(context.here.has_value());
  EXPECT_FALSE(context.edge.has_value());
  EXPECT_FALSE(context.before.has_value());
  EXPECT_FALSE(context.device.cpu_celsius.has_value());
  EXPECT_FALSE(context.link.uplink.has_value());
}

TEST(Predictor, expects_what_calls_took_in_either_place) {
  Calls calls;
  for (int i = 0; i < 5; ++i) (void)calls.call(Place::here);
  for (int i = 0; i < 5; ++i) (void)calls.call(Place::edge);
  const CallContext context = calls.foresee();
  ASSERT_TRUE(context.here && context.edge);
  EXPECT_NEAR(ms(context.here->p50), 100, 1);
  EXPECT_NEAR(ms(context.edge->p50), calls.world.edge_ms(), 1);
  EXPECT_EQ(context.before, Place::edge);
  EXPECT_NEAR(*context.link.uplink, 20e6, 1e6);
}

TEST(Predictor, follows_the_round_trip_while_no_call_goes_to_the_edge) {
  Calls calls;
  for (int i = 0; i < 5; ++i) (void)calls.call(Place::edge);
  for (int i = 0; i < 5; ++i) (void)calls.call(Place::here);
  const double before = ms(calls.foresee().edge->p50);
  calls.world.round_trip_ms = 60;
  calls.link();
  const double after = ms(calls.foresee().edge->p50);
  EXPECT_GE(after, before + 40) << "the round trip itself, and the pace that falls with it";
}

TEST(Predictor, has_no_forecast_for_an_edge_that_is_not_ready) {
  Calls calls;
  for (int i = 0; i < 5; ++i) (void)calls.call(Place::edge);
  calls.world.up = false;
  EXPECT_FALSE(calls.foresee().edge.has_value());
}

TEST(Predictor, follows_a_change_of_level_after_three_calls) {
  Calls calls;
  for (int i = 0; i < 30; ++i) (void)calls.call(Place::here);
  calls.world.here_ms = 300;
  for (int i = 0; i < 3; ++i) (void)calls.call(Place::here);
  EXPECT_NEAR(ms(calls.foresee().here->p50), 300, 5);
}

TEST(Predictor, is_not_moved_by_one_call_that_took_long) {
  Calls calls;
  for (int i = 0; i < 20; ++i) (void)calls.call(Place::here);
  calls.world.here_ms = 2000;
  (void)calls.call(Place::here);
  EXPECT_NEAR(ms(calls.foresee().here->p50), 100, 1);
}

TEST(Predictor, knows_that_larger_inputs_take_longer_on_the_way) {
  Calls calls;
  for (int i = 0; i < 5; ++i) (void)calls.call(Place::edge, kFrame);
  const double large = ms(calls.foresee(4 * kFrame).edge->p50);
  EXPECT_NEAR(large, 20 + 4 * 50 + 10 * 4, 8) << "round trip, 4 MB at 20 MB/s, and the run";
}

TEST(Predictor, expects_a_slower_processor_to_take_longer) {
  Calls calls;
  calls.predictor.on_device({.cpu_speed = 1.0}, calls.now);
  for (int i = 0; i < 5; ++i) (void)calls.call(Place::here);
  calls.predictor.on_device({.cpu_speed = 0.5}, calls.now);
  EXPECT_NEAR(ms(calls.foresee().here->p50), 200, 2);
  for (int i = 0; i < 3; ++i) (void)calls.call(Place::here);
  EXPECT_NEAR(ms(calls.foresee().here->p50), 100, 2) << "calls have shown what it means";
}

TEST(Predictor, knows_how_fast_the_processor_grows_warm) {
  Calls calls;
  for (int i = 0; i <= 40; ++i) {
    calls.predictor.on_device({.cpu_celsius = 50 + 0.2 * i}, calls.now);
    const bool known = calls.foresee().device.cpu_celsius_per_second.has_value();
    EXPECT_EQ(known, i >= 5) << "less than half a second says nothing";
    calls.now += 100ms;
  }
  const DeviceState device = calls.foresee().device;
  ASSERT_TRUE(device.cpu_celsius_per_second.has_value());
  EXPECT_NEAR(*device.cpu_celsius_per_second, 2.0, 0.01);
}

TEST(Predictor, tries_the_other_place_for_a_bounded_part_of_the_calls) {
  Calls calls;
  calls.world.megabytes_a_second = 2;  // the edge takes five times as long
  std::uint64_t tries = 0;
  for (int i = 0; i < 2000; ++i) {
    const CallContext context = calls.foresee();
    const bool tried = context.try_out == Place::edge;
    tries += tried ? 1 : 0;
    Decision decision{.place = tried ? Place::edge : Place::here, .reason = "test", .tries = tried};
    if (tried) decision.hedge = 0ns;
    (void)calls.call(context, decision);
  }
  EXPECT_GE(tries, 5U);
  EXPECT_LE(tries, 1 + 2000 * 5 / 100) << "the first, and one in twenty";
  EXPECT_EQ(tries, calls.predictor.tries());
}

TEST(Predictor, looks_at_the_device_again_soon_when_other_programs_have_ended) {
  Calls calls;
  const auto look = [&](double others) {
    calls.predictor.on_device(
        {.process_cpu_percent = 100, .system_cpu_percent = 25 + others, .cpu_cores = 4}, calls.now);
  };
  // Until a try at the device is due, at most so many calls.
  const auto calls_to_try = [&](double others) {
    int count = 0;
    for (; count < 500 && calls.foresee().try_out != Place::here; ++count) {
      look(others);
      (void)calls.call(Place::edge);
    }
    return count;
  };
  for (int i = 0; i < 5; ++i) (void)calls.call(Place::here);
  for (int i = 0; i < 20; ++i) {  // in vain, so that pauses grow long
    (void)calls_to_try(50);
    (void)calls.call(calls.foresee(), {.place = Place::here, .reason = "test", .tries = true});
  }
  const int in_calm = calls_to_try(50);
  (void)calls.call(calls.foresee(), {.place = Place::here, .reason = "test", .tries = true});
  const int after_the_end = calls_to_try(0);
  EXPECT_LT(after_the_end, in_calm / 2);
}

TEST(Predictor, tries_nothing_without_a_budget) {
  Calls calls({.explored_calls = 0, .explored_time = 0});
  for (int i = 0; i < 500; ++i) {
    ASSERT_FALSE(calls.foresee().try_out.has_value());
    (void)calls.call(Place::here);
  }
}

// As min_latency would, with tries that run in both places at once.
Place decide(Calls& calls, std::uint64_t& tries) {
  const CallContext context = calls.foresee();
  Decision decision{.place = Place::here, .reason = "test"};
  if (context.try_out == Place::edge) {
    decision = {.place = Place::edge, .reason = "test", .tries = true, .hedge = 0ns};
    ++tries;
  } else if (context.edge && context.edge->p50 < context.here->p50) {
    decision.place = Place::edge;
  }
  return calls.call(context, decision).place;
}

TEST(Predictor, follows_a_try_that_found_the_better_place_by_others_until_it_is_sure) {
  Calls calls;
  calls.world.megabytes_a_second = 2;  // the edge takes five times as long
  std::uint64_t tries = 0;
  for (int i = 0; i < 500; ++i) (void)decide(calls, tries);
  const std::uint64_t in_vain = tries;
  calls.world.megabytes_a_second = 20;
  std::optional<int> found;
  int stays = 0;
  for (int i = 0; i < 500; ++i) {
    const bool at_edge = decide(calls, tries) == Place::edge;
    if (at_edge && !found) found = i;
    stays += found && at_edge ? 1 : 0;
  }
  ASSERT_TRUE(found.has_value());
  EXPECT_GE(stays, 500 - *found - 10) << "hardly a call was slow after the first that was fast";
  EXPECT_LE(tries - in_vain, 20U) << "what is predicted to be faster is not tried but chosen";
}

// Until the next try, that one included; at most so many.
int calls_to_try(Calls& calls) {
  std::uint64_t tries = 0;
  int count = 0;
  for (; count < 500 && tries == 0; ++count) (void)decide(calls, tries);
  return count;
}

TEST(Predictor, follows_news_of_the_edge_before_a_try_is_saved_up_and_earns_it_later) {
  Calls calls;
  calls.world.megabytes_a_second = 2;
  calls.world.round_trip_ms = 100;
  std::uint64_t tries = 0;
  for (int i = 0; i < 500; ++i) (void)decide(calls, tries);
  (void)calls_to_try(calls);
  EXPECT_GT(calls_to_try(calls), 15) << "one in twenty";
  calls.world.round_trip_ms = 20;
  EXPECT_LE(calls_to_try(calls), 7) << "half a second";

  // In vain each time: the bytes take too long, whatever the round trip is.
  constexpr std::uint64_t kCalls = 4000;
  tries = 0;
  for (std::uint64_t i = 0; i < kCalls; ++i) {
    calls.world.round_trip_ms = i / 10 % 2 == 0 ? 100 : 20;
    (void)decide(calls, tries);
  }
  EXPECT_LE(tries, kCalls / 20 + 3);
}

TEST(Predictor, takes_it_for_no_news_that_a_short_round_trip_flickers) {
  Calls calls;
  calls.world.megabytes_a_second = 2;
  calls.world.round_trip_ms = 0.6;
  std::uint64_t tries = 0;
  for (int i = 0; i < 500; ++i) (void)decide(calls, tries);
  (void)calls_to_try(calls);
  calls.world.round_trip_ms = 0.2;
  EXPECT_GT(calls_to_try(calls), 15) << "one in twenty";
}

TEST(Predictor, learns_from_a_try_that_lost_that_the_edge_is_slow) {
  Calls calls;
  for (int i = 0; i < 5; ++i) (void)calls.call(Place::edge);
  for (int i = 0; i < 5; ++i) (void)calls.call(Place::here);
  calls.world.megabytes_a_second = 1;
  ASSERT_LT(ms(calls.foresee().edge->p50), 100);
  for (int i = 0; i < 3; ++i) {
    (void)calls.call(calls.foresee(),
                     {.place = Place::edge, .reason = "test", .tries = true, .hedge = 0ns});
  }
  EXPECT_GT(ms(calls.foresee().edge->p50), 100);
}

TEST(Predictor, expects_of_an_edge_that_has_never_answered_what_it_was_waited_for) {
  Calls calls;
  calls.world.megabytes_a_second = 1;  // it takes more than a second
  for (int i = 0; i < 5; ++i) (void)calls.call(Place::here);
  EXPECT_FALSE(calls.foresee().edge.has_value());
  (void)calls.call(calls.foresee(),
                   {.place = Place::edge, .reason = "test", .tries = true, .hedge = 0ns});
  const CallContext context = calls.foresee();
  ASSERT_TRUE(context.edge.has_value());
  EXPECT_GT(context.edge->p50, context.here->p50);
  EXPECT_EQ(context.edge->observations, 0U);
}

TEST(Predictor, knows_energy_by_the_model_without_a_sensor) {
  Calls calls;
  for (int i = 0; i < 5; ++i) (void)calls.call(Place::here);
  for (int i = 0; i < 5; ++i) (void)calls.call(Place::edge);
  const CallContext context = calls.foresee();
  EXPECT_FALSE(context.here->energy_measured);
  EXPECT_NEAR(*context.here->millijoules, 200, 2) << "2 W for 100 ms";
  const EnergyModel model;
  EXPECT_NEAR(*context.edge->millijoules,
              0.001 * (model.waiting_watts * 80e3 + model.sent_nanojoules * 1e3), 2);
}

TEST(Predictor, knows_energy_by_what_is_drawn_where_a_sensor_says) {
  Calls calls;
  calls.predictor.on_device({.watts = 1.0}, calls.now);
  (void)calls.call(Place::here);
  const CallContext context = calls.foresee();
  calls.predictor.on_decided(context, {.place = Place::here, .reason = "test"}, 1000, calls.now);
  for (int i = 0; i < 5; ++i) calls.predictor.on_device({.watts = 4.0}, calls.now);
  const CallContext later = calls.foresee();
  ASSERT_TRUE(later.here->energy_measured);
  EXPECT_NEAR(*later.here->millijoules, 300, 3) << "3 W beside the idle device, 100 ms";
}

}  // namespace
}  // namespace aloft::device
