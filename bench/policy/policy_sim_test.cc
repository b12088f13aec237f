#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "comparison.h"
#include "figures.h"
#include "generate.h"
#include "oracle.h"
#include "play.h"
#include "recording.h"
#include "support/demo.h"
#include "support/process.h"
#include "support/temp_dir.h"
#include "test_paths.h"
#include "world.h"

namespace aloft::bench {
namespace {

using namespace std::chrono_literals;

const Workload kFunction{.name = "f",
                         .input_bytes = 100'000,
                         .reply_bytes = 1'000,
                         .here_ms = 100,
                         .edge_ms = 10,
                         .pace_ms = 100};

// Ten Mbit/s (80.8 ms for the function's bytes) and 20 ms, for a minute; scatters nothing.
Trace plain_trace() {
  return {.name = "plain",
          .step_s = 0.05,
          .rows = std::vector<Conditions>(
              1200, {.round_trip_ms = 20, .uplink_mbps = 10, .downlink_mbps = 10})};
}
void cut(Trace& trace, double from_s, double to_s) {
  const auto row = [&](double seconds) { return std::lround(seconds / trace.step_s); };
  for (auto i = row(from_s); i < row(to_s); ++i) trace.rows[static_cast<std::size_t>(i)].up = false;
}

TEST(World, a_warm_call_takes_its_round_trip_its_bytes_and_its_run) {
  const World world(plain_trace(), kFunction, 10, 1);
  EXPECT_NEAR(world.edge(0, 0).latency_ms, 20 + 80.8 + 10, 0.01);
  EXPECT_NEAR(world.here_ms(0), 100, 0.01);
  EXPECT_FALSE(world.edge(0, 0).failed);
}

TEST(World, a_connection_that_was_hardly_used_starts_slowly) {
  Trace trace = plain_trace();
  for (Conditions& row : trace.rows) row.round_trip_ms = 100;  // a window of 125 KB
  const World world(trace, kFunction, 10, 1);
  const double warm = world.edge(0, 0).latency_ms;
  // Ten segments (14,600 bytes, 11.68 ms on the air), twice and four times as many; after the first
  // and the second window the rest of a round trip is waited for, and the third is not filled.
  EXPECT_NEAR(world.edge(0, 1e9).latency_ms - warm, 2 * 100 - 11.68 * (1 + 2), 0.1);
  const double between = world.edge(0, 700).latency_ms;
  EXPECT_GT(between, warm);
  EXPECT_LT(between, world.edge(0, 1e9).latency_ms);
}

TEST(World, an_outage_fails_what_is_under_way_and_is_known_when_the_channel_knows) {
  Trace trace = plain_trace();
  cut(trace, 2, 5);
  const World world(trace, kFunction, 100, 1);
  // 110 ms from 1.9 s on; silence from 2 s on is told at 2.2 s.
  EXPECT_TRUE(world.edge(19, 0).failed);
  EXPECT_NEAR(world.edge(19, 0).latency_ms, 300 + 100, 1);
  EXPECT_TRUE(world.ready(20));
  EXPECT_TRUE(world.edge(21, 0).failed);
  EXPECT_FALSE(world.ready(22));
  // Attempts at 2.3, 3.4 and 4.5 s, each a second long: the next one is at 5.6 s.
  EXPECT_FALSE(world.ready(56));
  EXPECT_TRUE(world.ready(57));
  EXPECT_FALSE(world.edge(57, 0).failed);
}

TEST(World, a_short_outage_holds_a_call_up) {
  Trace trace = plain_trace();
  cut(trace, 2, 2.15);
  const World world(trace, kFunction, 100, 1);
  EXPECT_TRUE(world.ready(21));
  EXPECT_FALSE(world.edge(20, 0).failed);
  EXPECT_NEAR(world.edge(20, 0).latency_ms - world.edge(30, 0).latency_ms, 150, 1);
}

TEST(Heat, nears_its_end_by_its_time_constant) {
  const double end = Heat::kAir + Heat::kResistance * 2;
  EXPECT_NEAR(Heat::after(Heat::kAir, 2, 1e9), end, 1e-6);
  EXPECT_NEAR(Heat::after(Heat::kAir, 2, Heat::kTimeConstant),
              end - (end - Heat::kAir) / std::exp(1), 1e-6);
}

// All 2^n plans.
double least_mean(const World& world) {
  double least = std::numeric_limits<double>::infinity();
  for (std::uint32_t plan = 0; plan < (1U << world.size()); ++plan) {
    double total = 0;
    double clock = 0;
    std::optional<double> sent_until;
    bool possible = true;
    for (std::size_t i = 0; i < world.size() && possible; ++i) {
      double latency = world.here_ms(i);
      if ((plan >> i & 1U) != 0) {
        possible = world.ready(i);
        latency = world.edge(i, sent_until ? clock - *sent_until : 1e12).latency_ms;
      }
      total += latency;
      clock += world.slot_ms(latency);
      if ((plan >> i & 1U) != 0) sent_until = clock;
    }
    if (possible) least = std::min(least, total);
  }
  return least / static_cast<double>(world.size());
}

TEST(Oracle, finds_what_trying_out_all_plans_finds) {
  for (const std::string_view scenario : {"wifi_crowded", "lte_car", "nr_millimetre"}) {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
      Workload workload = kFunction;
      workload.input_bytes = 20'000;
      workload.here_ms = 60;
      // Long strides, so that few frames meet much.
      workload.pace_ms = 900;
      const World world(generate(scenario, seed, 60), workload, 12, seed);
      EXPECT_NEAR(best_latency(world).mean_ms, least_mean(world), 1e-3)
          << scenario << " seed " << seed;
    }
  }
}

TEST(Oracle, is_what_playing_its_plan_costs) {
  class Follow final : public Policy {
   public:
    explicit Follow(const Plan& plan) : plan_(plan) {}
    [[nodiscard]] Decision decide(const CallContext& context) const override {
      return {plan_.places[context.number], "as planned"};
    }

   private:
    const Plan& plan_;
  };
  const World world = make_world(generate("lte_car", 3, seconds_of(2000)), workloads()[2], 2000, 3);
  const Plan plan = best_latency(world);
  const Played played = play(Follow(plan), world);
  EXPECT_NEAR(played.mean_ms, plan.mean_ms, 1e-3);
  EXPECT_EQ(played.switches, plan.switches);
}

TEST(Play, a_policy_never_sees_the_future) {
  const Trace whole = generate("wifi_campus", 5, seconds_of(1500));
  Trace other = whole;
  // From some moment on, another world.
  const double from_s = 1000 * workloads()[1].pace_ms / 1e3;
  for (auto row = static_cast<std::size_t>(from_s / other.step_s); row < other.rows.size(); ++row) {
    other.rows[row].round_trip_ms = 500;
    other.rows[row].device_load = 0.1;
  }
  const World first = make_world(whole, workloads()[1], 1500, 5);
  const World second = make_world(other, workloads()[1], 1500, 5);
  const Played one = play(*min_latency_policy(), first);
  const Played two = play(*min_latency_policy(), second);
  for (std::size_t i = 0; i < 1000; ++i)
    ASSERT_EQ(one.frames[i].latency_ms, two.frames[i].latency_ms) << "frame " << i;
  EXPECT_LT(two.mean_ms, one.mean_ms);
}

TEST(Play, is_the_same_twice) {
  const World world = make_world(generate("nr_walk", 9, seconds_of(1000)), workloads()[2], 1000, 9);
  const auto again = make_world(generate("nr_walk", 9, seconds_of(1000)), workloads()[2], 1000, 9);
  EXPECT_EQ(play(*min_latency_policy(), world).mean_ms, play(*min_latency_policy(), again).mean_ms);
}

TEST(Play, of_the_static_policies_costs_what_the_world_says) {
  Trace trace = plain_trace();
  const World world(trace, kFunction, 100, 1);
  EXPECT_NEAR(play(*local_policy(), world).mean_ms, 100, 1e-3);
  const Played remote = play(*remote_policy(), world);
  EXPECT_NEAR(remote.frames[50].latency_ms, 110.8, 0.01);
  EXPECT_EQ(remote.switches, 0U);
  EXPECT_EQ(play(*every_policy(10), world).switches, 9U);
}

// Within a factor of what was published (generate.h says where).
TEST(Generate, has_the_percentiles_that_were_measured) {
  constexpr double kLong = 20'000;  // seconds
  const auto all = [](const Trace& trace, double Conditions::* member) {
    std::vector<double> values;
    for (const Conditions& row : trace.rows) values.push_back(row.*member);
    return values;
  };
  const auto wifi = all(generate("wifi_campus", 1, kLong), &Conditions::round_trip_ms);
  EXPECT_NEAR(std::log(quantile(wifi, 0.5) / 3), 0, std::log(1.5));
  EXPECT_NEAR(std::log(quantile(wifi, 0.9) / 20), 0, std::log(1.5));
  EXPECT_NEAR(std::log(quantile(wifi, 0.99) / 250), 0, std::log(1.5));
  const Trace lte = generate("lte_walk", 1, kLong);
  EXPECT_NEAR(std::log(quantile(all(lte, &Conditions::round_trip_ms), 0.5) / 70), 0, std::log(1.3));
  EXPECT_NEAR(std::log(quantile(all(lte, &Conditions::uplink_mbps), 0.5) / 6), 0, std::log(1.6));
  EXPECT_NEAR(std::log(quantile(all(lte, &Conditions::downlink_mbps), 0.5) / 13), 0, std::log(1.6));
}

// Two links that take turns, a heavy function that is better off here on one of them and at the
// edge on the other. Few frames are enough to see which, however often it has been the other one.
TEST(Policies, follow_a_link_that_is_another_one_every_few_seconds) {
  constexpr Conditions kPoor{.round_trip_ms = 110, .uplink_mbps = 1.8, .downlink_mbps = 6};
  constexpr Conditions kRich{.round_trip_ms = 18, .uplink_mbps = 140, .downlink_mbps = 900};
  constexpr std::size_t kFrames = 3000;
  constexpr std::size_t kTurn = 30;  // frames
  const Workload& heavy = workloads()[2];
  Trace trace{.name = "turns", .step_s = heavy.pace_ms / 1e3, .rows = {}};
  for (std::size_t i = 0; i < kFrames; ++i)
    trace.rows.push_back(i / kTurn % 2 == 0 ? kPoor : kRich);
  const World world(trace, heavy, kFrames, 1);
  const Played played = play(*min_latency_policy(), world);
  std::size_t misplaced = 0;
  for (std::size_t i = 0; i < kFrames; ++i) {
    const Place better = i / kTurn % 2 == 0 ? Place::here : Place::edge;
    misplaced += played.frames[i].place != better ? 1U : 0U;
  }
  EXPECT_LE(misplaced, 5 * kFrames / kTurn)
      << "five of thirty frames, tries at the device included";
}

// The acceptance of the policies, on traces that they were not tuned on. Figures are models', and
// the same on every machine.
TEST(Policies, decide_nearly_as_well_as_an_oracle) {
  constexpr std::size_t kFrames = 6000;
  std::vector<Comparison> comparisons;
  for (const std::string_view scenario : scenarios()) {
    const Trace trace = generate(scenario, kReportedSeed, seconds_of(kFrames));
    for (const Workload& workload : workloads())
      comparisons.push_back(compare(trace, workload, kFrames, kReportedSeed));
  }
  const Verdict verdict = judge(comparisons);
  EXPECT_GE(verdict.traces, 12U);
  EXPECT_GE(verdict.hard_traces, 8U) << "else the traces are too easy";
  EXPECT_LE(verdict.over_oracle, 1.08);
  EXPECT_LE(verdict.worst_over_static, 1.03);
  EXPECT_LE(verdict.switches, 2 * verdict.oracle_switches);
  EXPECT_LE(verdict.most_over_limit_c, 0) << "cool";
  EXPECT_GE(verdict.least_cool_rate, 0.9);
  for (const Comparison& each : comparisons) {
    const auto where = each.trace + " " + each.function;
    EXPECT_LE(each.of("min_latency").switches, 2 * each.oracle_switches) << where;
    // A model knows what energy costs; being wrong about the link costs little of it.
    EXPECT_LE(each.of("min_energy").millijoules,
              1.15 * std::min(each.of("local").millijoules, each.of("remote").millijoules))
        << where;
    EXPECT_LE(each.of("deadline").missed,
              0.02 + 1.3 * std::min(each.of("local").missed, each.of("remote").missed))
        << where;
  }
}

TEST(Recording, is_read_as_it_was_recorded) {
  const testing::TempDir folder;
  std::ofstream(folder / "drive.csv")
      << "at_ms,input_bytes,reply_bytes,here_ms,edge_ms,edge_run_ms,edge_queue_ms,round_trip_ms\n"
         "0,40000,500,100,60,10,1,9\n"
         "150,40000,500,100,60,10,1,9\n"
         "300,40000,500,300,120,10,1,9\n";
  const auto recording = read_recording(folder / "drive.csv");
  ASSERT_TRUE(recording) << recording.error().message;
  EXPECT_EQ(recording->trace.name, "drive");
  EXPECT_DOUBLE_EQ(recording->workload.pace_ms, 150);
  const World world(recording->trace, recording->workload, 3, 1);
  EXPECT_NEAR(world.here_ms(0), 100, 1e-6);
  EXPECT_NEAR(world.here_ms(2), 300, 1e-6);
  EXPECT_NEAR(world.edge(1, 0).latency_ms, 60, 1e-6);
  EXPECT_NEAR(world.edge(2, 0).latency_ms, 120, 1e-6);
}

TEST(Recording, that_is_none_is_refused_with_its_line) {
  const testing::TempDir folder;
  EXPECT_EQ(read_recording(folder / "none.csv").error().code, Errc::not_found);
  std::ofstream(folder / "other.csv") << "frame,place\n0,local\n";
  EXPECT_EQ(read_recording(folder / "other.csv").error().code, Errc::corrupt);
  const std::string head =
      "at_ms,input_bytes,reply_bytes,here_ms,edge_ms,edge_run_ms,edge_queue_ms,round_trip_ms\n"
      "0,40000,500,100,60,10,1,9\n";
  for (const char* bad :
       {"150,40000,500,100,60,10,1", "150,40000,500,100,60,10,1,9,9", "150,40000,500,0,60,10,1,9",
        "150,x,500,100,60,10,1,9", "150,40000,500,nan,60,10,1,9", ""}) {
    std::ofstream(folder / "bad.csv") << head << bad << "\n";
    const auto recording = read_recording(folder / "bad.csv");
    ASSERT_FALSE(recording) << bad;
    EXPECT_EQ(recording.error().code, Errc::corrupt);
    EXPECT_NE(recording.error().message.find("bad.csv:3"), std::string::npos)
        << recording.error().message;
  }
  std::ofstream(folder / "short.csv") << head;
  EXPECT_EQ(read_recording(folder / "short.csv").error().code, Errc::corrupt);
}

// The application on its video, at an edge of this machine.
TEST(Recording, of_the_application_is_played) {
  const testing::TempDir folder;
  const auto edge = testing::DemoEdge::start(folder / "cache");
  ASSERT_TRUE(edge) << edge.error().message;
  const std::string file = (folder / "walk.csv").string();
  auto recorded = testing::Process::start(
      testing::demo_command(folder / "out", {"--edge", edge->address(), "--frames", "20",
                                             "--device-cpu", "100", "--record-trace", file}));
  ASSERT_TRUE(recorded) << recorded.error().message;
  ASSERT_EQ(recorded->wait(100s), 0) << recorded->transcript();
  const auto recording = read_recording(file);
  ASSERT_TRUE(recording) << recording.error().message;
  EXPECT_EQ(recording->trace.rows.size(), 20U);
  EXPECT_GT(recording->workload.input_bytes, 768 * 576 * 3);
  const Comparison comparison = compare(recording->trace, recording->workload, 100, 1);
  EXPECT_GT(comparison.oracle_ms, 0);
  EXPECT_LE(comparison.oracle_ms, comparison.best_static_ms + 1e-6);
  for (const PolicyResult& each : comparison.policies)
    EXPECT_GE(each.mean_ms + 1e-6, comparison.oracle_ms) << each.policy;
}

TEST(Bench, writes_its_figures_and_draws_them) {
  const testing::TempDir folder;
  auto bench = testing::Process::start({(testing::binary_dir() / "bench/policy").string(),
                                        "--frames", "200", "--json", (folder / "out.json").string(),
                                        "--plots", (folder / "plots").string()});
  ASSERT_TRUE(bench) << bench.error().message;
  ASSERT_EQ(bench->wait(300s), 0) << bench->transcript();
  const auto json = nlohmann::json::parse(std::ifstream(folder / "out.json"));
  ASSERT_TRUE(json.is_array());
  EXPECT_EQ(json.size(), scenarios().size() * workloads().size() * 7);
  for (const auto& row : json) {
    for (const char* text : {"trace", "function", "policy"}) EXPECT_TRUE(row.at(text).is_string());
    for (const char* number :
         {"mean_ms", "oracle_ms", "best_static_ms", "switches", "oracle_switches"})
      EXPECT_GE(row.at(number).get<double>(), 0) << number;
    EXPECT_GE(row.at("best_static_ms").get<double>() + 1e-6, row.at("oracle_ms").get<double>());
  }
  EXPECT_GT(std::filesystem::file_size(folder / "plots/overview.png"), 10'000U);
  EXPECT_GT(std::filesystem::file_size(folder / "plots/lte_car-heavy.png"), 10'000U);
}

}  // namespace
}  // namespace aloft::bench
