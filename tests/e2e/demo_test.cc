// The paper's demonstration as a user runs it: the application and an edge in processes of their
// own, on real video.
#include "support/demo.h"

#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/temp_dir.h"
#include "test_paths.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

class Demo : public ::testing::Test {
 protected:
  // Runs the application to its end; its exit status.
  int run(std::vector<std::string> arguments, std::chrono::seconds limit = 100s) {
    auto process = Process::start(demo_command(out_.path(), std::move(arguments)));
    if (!process) {
      ADD_FAILURE() << process.error().message;
      return -1;
    }
    const auto status = process->wait(limit);
    transcript_ = process->transcript();
    error_ = process->standard_error();
    return status.value_or(-1);
  }

  void start_edge() {
    auto edge = DemoEdge::start(cache_.path());
    ASSERT_TRUE(edge.has_value()) << edge.error().message;
    edge_.emplace(std::move(*edge));
  }

  nlohmann::json report() const {
    return nlohmann::json::parse(std::ifstream(out_ / "report.json"));
  }

  TempDir out_;
  TempDir cache_;
  std::optional<DemoEdge> edge_;
  std::string transcript_;
  std::string error_;
};

TEST_F(Demo, hops_between_device_and_edge_without_losing_a_frame) {
  start_edge();
  ASSERT_EQ(run({"--edge", edge_->address(), "--frames", "60", "--switch-every", "10",
                 "--device-cpu", "100"}),
            0)
      << transcript_;
  const auto rows = read_csv(out_ / "frames.csv");
  ASSERT_EQ(rows.size(), 60U);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].at("frame"), std::to_string(i));
    EXPECT_EQ(rows[i].at("place"), i / 10 % 2 == 0 ? "local" : "remote") << "frame " << i;
  }
  const auto result = report();
  EXPECT_EQ(result.at("frames"), 60);
  EXPECT_EQ(result.at("switches"), 5);
  for (const char* none : {"frames_lost", "frames_duplicated", "frames_reordered", "fallbacks"}) {
    EXPECT_EQ(result.at(none), 0) << none;
  }
  for (const char* place : {"local", "remote"}) {
    EXPECT_GT(result.at(place).at("fps"), 0) << place;
    EXPECT_GT(result.at(place).at("latency_ms").at("p99"), 0) << place;
    EXPECT_GT(result.at(place).at("cpu_ms_per_frame"), 0) << place;
  }
  EXPECT_GT(result.at("remote").at("tx_bytes_per_frame"), 768 * 576 * 3);
  EXPECT_GT(result.at("speedup"), 0);
  EXPECT_EQ(result.at("model_sha256").get<std::string>().size(), 64U);
  EXPECT_NE(result.at("wasm_engine").get<std::string>().find("wasmtime"), std::string::npos);
  EXPECT_FALSE(result.at("inference_engine").get<std::string>().empty());
  EXPECT_GT(std::filesystem::file_size(out_ / "figure3.png"), 10'000U);
}

TEST_F(Demo, a_held_device_is_left_for_the_edge_by_a_policy_that_predicts) {
  start_edge();
  ASSERT_EQ(run({"--edge", edge_->address(), "--frames", "40", "--policy", "min_latency",
                 "--device-cpu", "20"}),
            0)
      << transcript_;
  const auto result = report();
  EXPECT_EQ(result.at("frames"), 40);
  EXPECT_EQ(result.at("frames_lost"), 0);
  if (result.at("device").at("cpu_limit_percent") != 20) GTEST_SKIP() << "the device is not held";
  const auto rows = read_csv(out_ / "frames.csv");
  std::size_t remote = 0;
  for (const auto& row : rows) remote += row.at("place") == "remote" ? 1 : 0;
  EXPECT_EQ(rows.front().at("place"), "local") << "nothing is known of either place";
  EXPECT_NE(error_.find("remote: predicted "), std::string::npos) << transcript_;
  EXPECT_GE(remote, 25U) << transcript_;
}

TEST_F(Demo, both_places_compute_the_same_bits) {
  start_edge();
  ASSERT_EQ(run({"--edge", edge_->address(), "--frames", "25", "--verify", "--device-cpu", "100"}),
            0)
      << transcript_;
  EXPECT_EQ(report().at("verified_frames"), 25);
  EXPECT_EQ(report().at("mismatched_frames"), 0);
  EXPECT_EQ(report().at("mismatched_tensors"), 0);
}

// ALOFT_FRAMES says how many frames there are (600 for acceptance): 12 spans, so 11 moves.
TEST_F(Demo, the_trackers_identities_do_not_depend_on_where_it_runs) {
  const char* const asked = std::getenv("ALOFT_FRAMES");
  const int frames = asked != nullptr ? std::atoi(asked) : 72;
  const std::string count = std::to_string(frames);
  const std::chrono::seconds limit = 60s + std::chrono::seconds(frames / 2);
  ASSERT_EQ(run({"--place", "local", "--frames", count, "--device-cpu", "100"}, limit), 0)
      << transcript_;
  const auto stayed = read_identities(out_ / "frames.csv");
  ASSERT_EQ(stayed.size(), static_cast<std::size_t>(frames));
  EXPECT_GE(report().at("tracker").at("identities"), 3);
  EXPECT_EQ(report().at("tracker").at("moves"), 0);

  start_edge();
  ASSERT_EQ(run({"--edge", edge_->address(), "--frames", count, "--switch-every",
                 std::to_string(frames / 12), "--device-cpu", "100"},
                limit),
            0)
      << transcript_;
  expect_same_identities(read_identities(out_ / "frames.csv"), stayed);
  const auto tracker = report().at("tracker");
  EXPECT_EQ(tracker.at("moves"), 11) << transcript_;
  EXPECT_EQ(tracker.at("moves_failed"), 0);
  EXPECT_EQ(tracker.at("recoveries"), 0);
  EXPECT_GT(tracker.at("state_bytes"), 0);
  EXPECT_GE(tracker.at("blackout_ms").at("max"), tracker.at("blackout_ms").at("p50"));
}

TEST_F(Demo, several_frames_in_flight_come_back_in_order) {
  start_edge();
  ASSERT_EQ(run({"--edge", edge_->address(), "--frames", "40", "--place", "remote", "--in-flight",
                 "4", "--device-cpu", "100"}),
            0)
      << transcript_;
  const auto rows = read_csv(out_ / "frames.csv");
  ASSERT_EQ(rows.size(), 40U);
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i].at("frame"), std::to_string(i));
  EXPECT_EQ(report().at("frames_reordered"), 0);
}

// Pedestrians of a real video, four frames under way.
TEST_F(Demo, boxes_carried_forward_to_the_newest_frame_are_nearer_to_where_they_belong) {
  start_edge();
  ASSERT_EQ(run({"--edge", edge_->address(), "--frames", "100", "--place", "remote", "--in-flight",
                 "4", "--compensate", "--device-cpu", "100"}),
            0)
      << transcript_;
  const auto compensation = report().at("compensation");
  EXPECT_GE(compensation.at("frames"), 97);
  EXPECT_GT(compensation.at("boxes"), 100);
  EXPECT_GT(compensation.at("age_frames"), 2.5);
  const auto& with = compensation.at("box_error");
  const auto& without = compensation.at("box_error_without");
  EXPECT_LT(with.at("centre_pixels"), without.at("centre_pixels"));
  EXPECT_LT(with.at("one_minus_iou"), without.at("one_minus_iou"));
}

TEST_F(Demo, the_baseline_measures_the_native_function_in_alternating_blocks) {
  start_edge();
  ASSERT_EQ(run({"--edge", edge_->address(), "--frames", "200", "--place", "remote", "--baseline"}),
            0)
      << transcript_;
  EXPECT_GE(report().at("baseline_blocks").size(), 5U);
  EXPECT_GT(report().at("edge_native_fps"), 0);
  EXPECT_GT(report().at("remote_over_native"), 0);
}

TEST_F(Demo, draws_a_video_of_the_enriched_frames_where_there_is_no_screen) {
  auto command = demo_command(out_.path(), {"--video", "scene", "--frames", "12", "--place",
                                            "local", "--device-cpu", "100"});
  std::erase(command, "--no-record");
  auto process = Process::start(command);
  ASSERT_TRUE(process.has_value()) << process.error().message;
  ASSERT_EQ(process->wait(60s), 0) << process->transcript();
  EXPECT_GT(std::filesystem::file_size(out_ / "video.mp4"), 10'000U);
}

TEST_F(Demo, goes_on_locally_without_an_edge_and_says_so) {
  ASSERT_EQ(run({"--edge", "127.0.0.1:1", "--frames", "12", "--switch-every", "4", "--device-cpu",
                 "100"}),
            0)
      << transcript_;
  EXPECT_EQ(read_csv(out_ / "frames.csv").size(), 12U);
  EXPECT_NE(error_.find("edge"), std::string::npos) << transcript_;
  EXPECT_FALSE(report().contains("remote"));
}

TEST_F(Demo, an_edge_that_must_be_used_and_is_not_there_is_an_error) {
  EXPECT_NE(run({"--edge", "127.0.0.1:1", "--frames", "12", "--place", "remote"}, 30s), 0);
  EXPECT_NE(error_.find("error: "), std::string::npos) << transcript_;
  EXPECT_NE(error_.find("127.0.0.1:1"), std::string::npos) << transcript_;
}

// A command line that must end with a clear error, soon.
struct BadInput {
  const char* name;
  std::vector<std::string> arguments;
  const char* says;
};
void PrintTo(const BadInput& bad, std::ostream* out) { *out << bad.name; }

class DemoBadInput : public Demo, public ::testing::WithParamInterface<BadInput> {
 protected:
  // The files that the cases name, each wrong in its own way.
  void SetUp() override {
    const auto whole = read_file(video());
    write_file(files_ / "half.avi", std::span(whole).first(whole.size() / 2));
    write_file(files_ / "junk.avi",
               std::as_bytes(std::span("this is not a video, whatever its name says")));
    const auto model = read_file(source_dir() / "models/pedestrian.onnx");
    write_file(files_ / "half.onnx", std::span(model).first(model.size() / 2));
    write_file(files_ / "junk.onnx", std::as_bytes(std::span("this is no model either")));
  }
  TempDir files_;
};

TEST_P(DemoBadInput, ends_with_a_clear_error) {
  std::vector<std::string> arguments = GetParam().arguments;
  for (std::string& argument : arguments) {
    if (argument.starts_with("@")) argument = (files_ / argument.substr(1)).string();
  }
  if (std::ranges::find(arguments, "--place") == arguments.end()) {
    arguments.insert(arguments.end(), {"--place", "local"});
  }
  arguments.insert(arguments.end(), {"--frames", "5", "--device-cpu", "100"});
  const int status = run(arguments, 30s);
  EXPECT_GT(status, 0) << transcript_;
  EXPECT_LT(status, 128) << transcript_;
  EXPECT_NE(error_.find("error: "), std::string::npos) << transcript_;
  EXPECT_NE(error_.find(GetParam().says), std::string::npos) << transcript_;
}

INSTANTIATE_TEST_SUITE_P(
    Command, DemoBadInput,
    ::testing::Values(BadInput{"no_such_video", {"--video", "@none.avi"}, "no such video"},
                      BadInput{"truncated_video", {"--video", "@half.avi"}, "truncated"},
                      BadInput{"junk_video", {"--video", "@junk.avi"}, "as a video"},
                      BadInput{"no_such_camera", {"--video", "camera:x"}, "not a camera"},
                      BadInput{"no_such_model", {"--model", "@none.onnx"}, "none.onnx"},
                      BadInput{"truncated_model", {"--model", "@half.onnx"}, "half.onnx"},
                      BadInput{"junk_model", {"--model", "@junk.onnx"}, "junk.onnx"},
                      BadInput{"no_such_module", {"--module", "@none.wasm"}, "none.wasm"},
                      BadInput{"unknown_option", {"--fast"}, "--fast"},
                      BadInput{"zero_percent", {"--device-cpu", "0"}, "--device-cpu"},
                      BadInput{"remote_without_an_edge", {"--place", "remote"}, "--edge"}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace aloft::testing
