// `aloft trace`: when an edge was at a call, on the device's clock; the files as they are written;
// and the command as it is typed, asking this process. tests/e2e/trace_test.cc has a real edge.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "device/explain/timeline.h"
#include "device/testing/demo_module.h"
#include "support/process.h"
#include "support/programs.h"
#include "support/temp_dir.h"
#include "trace_spans.h"
#include <aloft/runtime.h>

namespace aloft {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::Ran;
using testing::run_aloft;
using namespace std::chrono_literals;
using Moment = std::chrono::steady_clock::time_point;

TEST(EdgeMoment, is_right_within_its_bound_however_the_way_was_shared_between_to_and_fro) {
  for (const auto at_edge : {0us, 500us, 40'000us}) {
    for (const auto to : {0us, 10us, 3'000us, 90'000us}) {
      for (const auto fro : {0us, 10us, 700us, 20'000us}) {
        for (const std::chrono::nanoseconds round_trip : {0us, 1us, 400us, 1'000'000us}) {
          const Moment sent(1h);
          const Moment began = sent + to;
          const Moment answered = began + at_edge + fro;
          const auto guess = device::edge_moment(sent, answered, at_edge, round_trip);
          EXPECT_GE(began, guess.begin - guess.earlier);
          EXPECT_LE(began, guess.begin + guess.later);
          EXPECT_GE(guess.begin, sent);
          EXPECT_LE(guess.begin + at_edge, answered);
          EXPECT_EQ(guess.earlier + guess.later, std::chrono::nanoseconds(to + fro))
              << "no wider than what is not known";
        }
      }
    }
  }
}

TEST(EdgeMoment, takes_half_a_round_trip_for_the_way_back) {
  const Moment sent(1h);
  // 10 ms up for a large request, 1 ms back.
  const auto guess = device::edge_moment(sent, sent + 31ms, 20ms, 2ms);
  EXPECT_EQ(guess.begin, sent + 10ms);
  EXPECT_EQ(guess.later, 1ms);
  EXPECT_EQ(guess.earlier, 10ms);
}

TEST(EdgeMoment, of_an_edge_that_says_more_than_there_was_time_for_is_within_the_call) {
  const Moment sent(1h);
  const auto guess = device::edge_moment(sent, sent + 999us, 1ms, 0us);
  EXPECT_EQ(guess.begin, sent);
  EXPECT_EQ(guess.earlier + guess.later, 0us);
}

// Two calls that overlap, one at the edge; and a third.
constexpr const char* kTold = R"({"pid": 12, "program": "app",
  "clock": {"steady_ns": 1000000, "unix_ns": 1700000000001000000},
  "calls": [
    {"number": 7, "function": "a::far", "place": "edge", "edge": 1, "start_ns": 100000,
     "end_ns": 900000, "encode_ns": 110000, "sent_ns": 150000, "answered_ns": 850000,
     "edge_begin_ns": 300000, "earlier_ns": 150000, "later_ns": 50000, "queue_ns": 20000,
     "run_ns": 480000, "inference_ns": 400000, "tx_bytes": 1000},
    {"number": 8, "function": "a::near", "place": "here", "start_ns": 200000, "end_ns": 400000,
     "here_run_ns": 190000},
    {"number": 9, "function": "a::near", "place": "here", "start_ns": 950000, "end_ns": 990000,
     "error": "trapped"}]})";

// Nanoseconds of a time in a file, as its readers take it: to the nearest one, or what is less cut
// off.
enum class Reader : std::uint8_t { rounds, cuts };
std::int64_t ns_of(const json& microseconds, Reader reader) {
  const double ns = microseconds.get<double>() * 1000;
  return reader == Reader::rounds ? std::llround(ns) : static_cast<std::int64_t>(ns);
}

TEST(TraceSpans, are_slices_that_nest_on_tracks_of_device_and_edge) {
  const auto timeline = cli::read_timeline(kTold);
  ASSERT_TRUE(timeline.has_value());
  const auto events = json::parse(cli::to_trace_events(*timeline)).at("traceEvents");
  std::vector<std::string> slices;
  for (const json& event : events) {
    if (event.at("ph") != "X") continue;
    slices.push_back(event.at("pid").dump() + "/" + event.at("tid").dump() + " " +
                     event.at("name").get<std::string>() + " " +
                     std::to_string(ns_of(event.at("ts"), Reader::cuts) / 1000) + "+" +
                     std::to_string(ns_of(event.at("dur"), Reader::cuts) / 1000));
  }
  EXPECT_THAT(slices, ::testing::ElementsAre(
                          "1/1 a::far 0+800", "1/1 encode 10+40", "1/1 to the edge 50+150",
                          "1/1 at the edge 200+500", "1/1 reply 700+50", "1/1 decode 750+50",
                          "3/1 a::far 200+500", "3/1 queue 200+20", "3/1 guest 220+480",
                          "3/1 inference 260+400", "1/2 a::near 100+200", "1/2 run 110+190",
                          "1/1 a::near 850+40"));
  const auto there = std::ranges::find_if(
      events, [](const json& event) { return event.at("ph") == "X" && event.at("pid") == 3; });
  EXPECT_EQ(there->at("args").at("clock_may_be_earlier_us"), 150);
  EXPECT_EQ(there->at("args").at("clock_may_be_later_us"), 50);
}

// Calls of any lengths to the nanosecond, of which parts may take no time at all.
std::string told_at_random(std::uint32_t seed) {
  std::mt19937 random(seed);
  const auto up_to = [&](std::int64_t most) {
    return random() % 4 == 0 ? 0 : static_cast<std::int64_t>(random()) % (most + 1);
  };
  json calls = json::array();
  std::int64_t now = 1'000'000;
  for (int number = 1; number <= 300; ++number) {
    const std::int64_t encode = now + up_to(999);
    const std::int64_t sent = encode + up_to(12'345);
    const std::int64_t begin = sent + up_to(99'999);
    const std::int64_t decode = up_to(999);
    const std::int64_t queue = up_to(9'999);
    const std::int64_t run = up_to(1'234'567);
    const std::int64_t answered = begin + decode + queue + run + up_to(99'999);
    const std::int64_t end = answered + up_to(999);
    calls.push_back({{"number", number},
                     {"function", "guest"},
                     {"place", "edge"},
                     {"edge", number % 2},
                     {"start_ns", now},
                     {"end_ns", end},
                     {"encode_ns", encode},
                     {"sent_ns", sent},
                     {"answered_ns", answered},
                     {"edge_begin_ns", begin},
                     {"decode_ns", decode},
                     {"queue_ns", queue},
                     {"run_ns", run},
                     {"inference_ns", up_to(run)}});
    now += up_to(900'000);
  }
  return json{{"pid", 1},
              {"program", "app"},
              {"clock", {{"steady_ns", 0}, {"unix_ns", 0}}},
              {"calls", calls}}
      .dump();
}

// As Perfetto's importer takes slices of a track: those that begin at once by their lengths, the
// longest first; one that is neither within the one before nor beside it is dropped.
void expect_none_is_dropped(const std::vector<json>& track, Reader reader) {
  std::vector<std::tuple<std::int64_t, std::int64_t, std::size_t>> order;
  for (std::size_t i = 0; i < track.size(); ++i)
    order.emplace_back(ns_of(track[i].at("ts"), reader), -ns_of(track[i].at("dur"), reader), i);
  std::ranges::sort(order);
  std::vector<std::int64_t> ends;  // of those that are open
  for (const auto& [begin, minus_length, i] : order) {
    while (!ends.empty() && ends.back() <= begin) ends.pop_back();
    const std::int64_t end = begin - minus_length;
    EXPECT_TRUE(ends.empty() || end <= ends.back()) << track[i];
    ends.push_back(end);
  }
}

TEST(TraceSpans, are_all_taken_by_perfetto_with_arrows_between_the_slices_that_are_meant) {
  for (std::uint32_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    const auto timeline = cli::read_timeline(told_at_random(seed));
    ASSERT_TRUE(timeline.has_value());
    const auto events = json::parse(cli::to_trace_events(*timeline)).at("traceEvents");
    std::map<std::pair<int, int>, std::vector<json>> tracks;
    std::map<std::string, std::pair<json, json>> arrows;
    std::size_t there = 0;
    for (const json& event : events) {
      if (event.at("ph") == "M") continue;
      ASSERT_EQ(event.at("ph"), "X");
      tracks[{event.at("pid").get<int>(), event.at("tid").get<int>()}].push_back(event);
      there += event.at("name") == "queue" ? 1 : 0;
      if (!event.contains("bind_id")) continue;
      auto& arrow = arrows[event.at("bind_id").get<std::string>()];
      json& at = event.value("flow_out", false) ? arrow.first : arrow.second;
      EXPECT_TRUE(at.is_null()) << "one beginning and one end: " << event;
      EXPECT_NE(event.value("flow_out", false), event.value("flow_in", false)) << event;
      at = event;
    }
    for (const auto& [track, slices] : tracks) {
      for (const Reader reader : {Reader::rounds, Reader::cuts})
        expect_none_is_dropped(slices, reader);
    }
    EXPECT_EQ(there, 300U);
    EXPECT_GT(arrows.size(), 300U) << "one there and one back, but for those that take no time";
    for (const auto& [id, arrow] : arrows) {
      const auto& [from, to] = arrow;
      ASSERT_FALSE(from.is_null() || to.is_null()) << id;
      EXPECT_LT(ns_of(from.at("ts"), Reader::cuts), ns_of(to.at("ts"), Reader::cuts));
      if (from.at("pid") == 1) {
        EXPECT_EQ(from.at("name"), "to the edge");
        EXPECT_EQ(to.at("name"), "guest") << "which is the function's name here";
        EXPECT_TRUE(to.at("args").contains("clock_may_be_later_us"));
      } else {
        EXPECT_EQ(from.at("name"), "guest");
        EXPECT_FALSE(from.contains("args")) << "the part that has that name";
        EXPECT_EQ(to.at("name"), "reply");
        EXPECT_EQ(to.at("pid"), 1);
      }
    }
  }
}

TEST(TraceSpans, are_spans_of_opentelemetry_with_parents_and_resources) {
  const auto timeline = cli::read_timeline(kTold);
  ASSERT_TRUE(timeline.has_value());
  const auto resources = json::parse(cli::to_otlp(*timeline)).at("resourceSpans");
  ASSERT_EQ(resources.size(), 2U);
  EXPECT_EQ(resources[0].at("resource").at("attributes")[0].at("value").at("stringValue"), "app");
  EXPECT_EQ(resources[1].at("resource").at("attributes")[1].dump(),
            R"({"key":"aloft.edge","value":{"intValue":"1"}})");
  const auto spans = resources[0].at("scopeSpans")[0].at("spans");
  const auto far = spans[0];
  EXPECT_EQ(far.at("name"), "a::far");
  EXPECT_EQ(far.at("kind"), 3);
  EXPECT_EQ(far.at("traceId").get<std::string>().size(), 32U);
  EXPECT_EQ(far.at("spanId").get<std::string>().size(), 16U);
  EXPECT_FALSE(far.contains("parentSpanId"));
  EXPECT_EQ(far.at("startTimeUnixNano"), "1700000000000100000");
  EXPECT_EQ(far.at("endTimeUnixNano"), "1700000000000900000");
  const auto there = resources[1].at("scopeSpans")[0].at("spans")[0];
  EXPECT_EQ(there.at("kind"), 2);
  EXPECT_EQ(there.at("traceId"), far.at("traceId"));
  EXPECT_EQ(there.at("parentSpanId"), far.at("spanId"));
  EXPECT_EQ(spans.back().at("status").at("code"), 2);
  EXPECT_NE(spans.back().at("traceId"), far.at("traceId"));
}

TEST(TraceSpans, of_what_is_no_timeline_are_an_error) {
  for (const char* const wrong :
       {"", "{}", "[]", R"({"calls": 3})", R"({"calls": [{}], "program": "a", "pid": 1,
        "clock": {"unix_ns": 1, "steady_ns": 1}})"}) {
    const auto timeline = cli::read_timeline(wrong);
    ASSERT_FALSE(timeline.has_value()) << wrong;
    EXPECT_EQ(timeline.error().code, Errc::protocol);
  }
}

class TraceTest : public ::testing::Test {
 protected:
  TraceTest() { ::setenv("XDG_RUNTIME_DIR", folder_.path().c_str(), 1); }

  std::string file(const char* name) const { return (folder_ / name).string(); }

  const testing::TempDir folder_;
  const demo::Registered module_;
};

TEST_F(TraceTest, writes_the_calls_of_a_program_that_runs) {
  RuntimeOptions options;
  options.explain = true;
  const auto made = Runtime::create(std::move(options)).value();
  bind(*made);
  for (int i = 0; i < 3000; ++i) (void)demo::add(1, 2);
  (void)demo::shout("the last");
  const Ran ran = run_aloft({"trace", "--out", file("t.json"), "--otlp", file("o.json")});
  EXPECT_EQ(ran.status, 0) << ran.error;
  EXPECT_THAT(ran.output, AllOf(HasSubstr("the last 2048 calls"), HasSubstr("ui.perfetto.dev")));
  const auto events = json::parse(std::ifstream(file("t.json"))).at("traceEvents");
  std::vector<json> slices;
  for (const json& event : events) {
    if (event.at("ph") == "X" && event.at("name") != "run") slices.push_back(event);
  }
  ASSERT_EQ(slices.size(), 2048U);
  EXPECT_EQ(slices.front().at("args").at("number"), 3001 - 2048);
  EXPECT_EQ(slices.back().at("name"), "demo::shout");
  EXPECT_EQ(json::parse(std::ifstream(file("o.json"))).at("resourceSpans").size(), 1U);
}

TEST_F(TraceTest, without_a_program_or_a_file_it_says_what_to_do) {
  const Ran none = run_aloft({"trace", "--out", file("t.json")});
  EXPECT_EQ(none.status, 3);
  EXPECT_THAT(none.error, AllOf(HasSubstr("error: "), HasSubstr("RuntimeOptions::explain")));
  RuntimeOptions options;
  options.explain = true;
  const auto made = Runtime::create(std::move(options)).value();
  const Ran nowhere = run_aloft({"trace", std::to_string(::getpid())});
  EXPECT_NE(nowhere.status, 0);
  EXPECT_THAT(nowhere.error, AllOf(HasSubstr("error: "), HasSubstr("--out")));
  const Ran unwritable = run_aloft({"trace", "--out", file("none/t.json")});
  EXPECT_NE(unwritable.status, 0);
  EXPECT_THAT(unwritable.error, AllOf(HasSubstr("error: "), HasSubstr("none/t.json")));
}

}  // namespace
}  // namespace aloft
