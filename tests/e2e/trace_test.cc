// `aloft trace` of the demonstration: what device and edge did for each frame, on one clock.
#include <csignal>
#include <fstream>
#include <iostream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/demo.h"
#include "support/temp_dir.h"
#include "test_paths.h"

namespace aloft::testing {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr auto kPatience = 60s;

// From when to when, in microseconds.
struct Slice {
  double begin = 0;
  double end = 0;
  explicit Slice(const json& event)
      : begin(event.at("ts").get<double>()), end(begin + event.at("dur").get<double>()) {}
};

TEST(Trace, shows_what_device_and_edge_did_for_each_frame_on_one_clock) {
  const TempDir out;
  const TempDir cache;
  auto edge = DemoEdge::start(cache.path());
  ASSERT_TRUE(edge.has_value()) << edge.error().message;
  const ProcessOptions of_this_test{.environment = {{"XDG_RUNTIME_DIR", out.path().string()}}};
  auto app = Process::start(
      demo_command(out.path(), {"--edge", edge->address(), "--switch-every", "10", "--frames",
                                "1000000", "--in-flight", "3", "--device-cpu", "100"}),
      of_this_test);
  ASSERT_TRUE(app.has_value()) << app.error().message;
  // A hop there and one back.
  ASSERT_TRUE(app->wait_for_error("at the edge", kPatience)) << app->transcript();
  ASSERT_TRUE(app->wait_for_error("frame 21/", kPatience)) << app->transcript();
  auto trace = Process::start({(binary_dir() / "bin/aloft").string(), "trace", "--out",
                               (out / "t.json").string(), "--otlp", (out / "o.json").string()},
                              of_this_test);
  ASSERT_TRUE(trace.has_value()) << trace.error().message;
  ASSERT_EQ(trace->wait(kPatience), 0) << trace->transcript();
  app->signal(SIGINT);
  EXPECT_EQ(app->wait(kPatience), 0) << app->transcript();

  const auto events = json::parse(std::ifstream(out / "t.json")).at("traceEvents");
  std::map<std::string, std::vector<Slice>> device;
  std::vector<json> there;
  std::vector<Slice> guests;
  std::vector<Slice> inferences;
  for (const json& event : events) {
    if (event.at("ph") != "X") continue;
    const auto name = event.at("name").get<std::string>();
    if (event.at("pid") == 1) device[name].emplace_back(event);
    if (event.at("pid") == 2 && name == "detect::detect_object") there.push_back(event);
    if (name == "guest") guests.emplace_back(event);
    if (name == "inference") inferences.emplace_back(event);
  }
  EXPECT_GE(device["detect::detect_object"].size(), 20U);
  EXPECT_GE(device["run"].size(), 10U) << "those computed here";
  ASSERT_GE(there.size(), 10U) << "those of the edge";
  ASSERT_EQ(guests.size(), there.size());
  ASSERT_EQ(inferences.size(), there.size()) << "each frame asks the network once";
  for (const char* const part : {"encode", "to the edge", "at the edge", "reply", "decode"})
    EXPECT_EQ(device[part].size(), there.size()) << part;
  for (std::size_t i = 0; i < there.size(); ++i) {
    const Slice at_the_edge(there[i]);
    constexpr double kRounding = 0.002;
    EXPECT_LE(device["to the edge"][i].begin, at_the_edge.begin);
    EXPECT_NEAR(device["to the edge"][i].end, at_the_edge.begin, kRounding);
    EXPECT_NEAR(device["reply"][i].begin, at_the_edge.end, kRounding);
    EXPECT_GE(guests[i].begin + kRounding, at_the_edge.begin);
    EXPECT_LE(guests[i].end, at_the_edge.end + kRounding);
    EXPECT_GT(inferences[i].end - inferences[i].begin, (guests[i].end - guests[i].begin) / 2);
    // What is not known of the edge's clock is no more than the time on the way.
    const auto& args = there[i].at("args");
    const double unknown = args.at("clock_may_be_earlier_us").get<double>() +
                           args.at("clock_may_be_later_us").get<double>();
    const double way = device["to the edge"][i].end - device["to the edge"][i].begin +
                       device["reply"][i].end - device["reply"][i].begin;
    EXPECT_LE(unknown, way + 1);
  }

  const auto resources = json::parse(std::ifstream(out / "o.json")).at("resourceSpans");
  ASSERT_EQ(resources.size(), 2U);
  std::map<std::string, json> spans;
  for (const json& resource : resources) {
    for (const json& span : resource.at("scopeSpans")[0].at("spans"))
      spans[span.at("traceId").get<std::string>() + span.at("spanId").get<std::string>()] = span;
  }
  for (const auto& [id, span] : spans) {
    if (!span.contains("parentSpanId")) continue;
    const auto parent = spans.find(span.at("traceId").get<std::string>() +
                                   span.at("parentSpanId").get<std::string>());
    ASSERT_NE(parent, spans.end());
    EXPECT_GE(span.at("startTimeUnixNano").get<std::string>(),
              parent->second.at("startTimeUnixNano").get<std::string>());
    EXPECT_LE(span.at("endTimeUnixNano").get<std::string>(),
              parent->second.at("endTimeUnixNano").get<std::string>());
  }
}

}  // namespace
}  // namespace aloft::testing
