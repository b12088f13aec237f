#include "options.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace detect {
namespace {

// What the user sees on standard error, and the outcome.
struct Parsed {
  ParsedOptions outcome;
  std::string error;
};

Parsed parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "aloft-detect");
  ::testing::internal::CaptureStderr();
  ::testing::internal::CaptureStdout();
  Parsed parsed{parse_options(static_cast<int>(arguments.size()), arguments.data()), {}};
  ::testing::internal::GetCapturedStdout();
  parsed.error = ::testing::internal::GetCapturedStderr();
  return parsed;
}

TEST(Options, have_the_defaults_of_the_papers_demonstration) {
  const auto parsed = parse({"--video", "v.avi", "--model", "m.onnx"});
  ASSERT_TRUE(parsed.outcome.options) << parsed.error;
  const Options& options = *parsed.outcome.options;
  EXPECT_EQ(options.place, PlaceMode::switching);
  EXPECT_EQ(options.switch_every, 50U);
  EXPECT_EQ(options.device_cpu_percent, 30);
  EXPECT_EQ(options.inference_threads, 1);
  EXPECT_EQ(options.in_flight, 1U);
  EXPECT_FALSE(options.compensate || options.baseline || options.verify);
}

TEST(Options, a_policy_takes_the_place_of_a_place) {
  const auto parsed = parse({"--video", "v.avi", "--model", "m.onnx", "--policy", "cool:75"});
  ASSERT_TRUE(parsed.outcome.options) << parsed.error;
  EXPECT_EQ(parsed.outcome.options->policy->name(), "cool:75:min_latency");
}

TEST(Options, frames_are_lossless_unless_a_codec_is_asked_for) {
  const auto codec = [](const char* text) {
    const auto parsed = parse({"--video", "v.avi", "--model", "m.onnx", "--codec", text});
    return parsed.outcome.options ? std::optional(parsed.outcome.options->codec) : std::nullopt;
  };
  const aloft::ImageCodec none =
      parse({"--video", "v.avi", "--model", "m.onnx"}).outcome.options->codec;
  EXPECT_EQ(none.coding, aloft::ImageCoding());
  EXPECT_FALSE(none.is_automatic());
  EXPECT_EQ(codec("raw")->coding, aloft::ImageCoding());
  EXPECT_EQ(codec("jpeg")->coding, (aloft::ImageCoding{aloft::ImageFormat::jpeg, 90}));
  EXPECT_EQ(codec("jpeg:75")->coding, (aloft::ImageCoding{aloft::ImageFormat::jpeg, 75}));
  EXPECT_TRUE(codec("auto")->is_automatic());
  for (const char* const wrong : {"jpeg:", "jpeg:0", "jpeg:101", "jpeg:80x", "png", ""})
    EXPECT_FALSE(codec(wrong).has_value()) << wrong;
  const auto both = parse(
      {"--video", "v.avi", "--model", "m.onnx", "--edge", "h:1", "--codec", "jpeg", "--verify"});
  EXPECT_EQ(both.outcome.exit_code, 2);
  EXPECT_NE(both.error.find("lossy"), std::string::npos) << both.error;
}

TEST(Options, a_page_is_at_a_free_port_unless_one_is_said_and_is_of_no_use_to_what_measures) {
  const auto page = [](std::vector<const char*> more) {
    std::vector<const char*> all{"--video", "v.avi",  "--model",
                                 "m.onnx",  "--edge", "10.0.0.7:7411"};
    all.insert(all.end(), more.begin(), more.end());
    return parse(all);
  };
  EXPECT_EQ(page({}).outcome.options.value().page_port, std::nullopt);
  EXPECT_EQ(page({"--page"}).outcome.options.value().page_port, 0);
  EXPECT_EQ(page({"--page-port", "8080"}).outcome.options.value().page_port, 8080);
  EXPECT_EQ(page({"--page-port", "8080", "--page"}).outcome.options.value().page_port, 8080);
  for (const char* const measures : {"--verify", "--baseline"}) {
    const auto parsed = page({"--page", measures});
    EXPECT_FALSE(parsed.outcome.options) << measures;
    EXPECT_EQ(parsed.outcome.exit_code, 2);
    EXPECT_NE(parsed.error.find("error: "), std::string::npos);
  }
  EXPECT_EQ(page({"--page-port", "70000"}).outcome.exit_code, 2);
}

TEST(Options, all_that_is_given_is_taken) {
  const auto parsed = parse({"--video",
                             "camera:2",
                             "--model",
                             "m.onnx",
                             "--module",
                             "x.wasm",
                             "--frames",
                             "600",
                             "--switch-every",
                             "7",
                             "--place",
                             "remote",
                             "--edge",
                             "10.0.0.7:7411",
                             "--device-cpu",
                             "100",
                             "--inference-threads",
                             "2",
                             "--inference-device",
                             "auto",
                             "--in-flight",
                             "4",
                             "--compensate",
                             "--record-trace",
                             "t.csv",
                             "--baseline",
                             "--headless",
                             "--no-record",
                             "--out",
                             "o"});
  ASSERT_TRUE(parsed.outcome.options) << parsed.error;
  const Options& options = *parsed.outcome.options;
  EXPECT_EQ(options.video, "camera:2");
  EXPECT_EQ(options.module, "x.wasm");
  EXPECT_EQ(options.frames, 600U);
  EXPECT_EQ(options.switch_every, 7U);
  EXPECT_EQ(options.place, PlaceMode::remote);
  EXPECT_EQ(options.edge, "10.0.0.7:7411");
  EXPECT_EQ(options.device_cpu_percent, 100);
  EXPECT_EQ(options.inference_threads, 2);
  EXPECT_EQ(options.inference_device, aloft::nn::Device::automatic);
  EXPECT_EQ(options.in_flight, 4U);
  EXPECT_TRUE(options.compensate);
  EXPECT_EQ(options.record_trace, "t.csv");
  EXPECT_TRUE(options.baseline);
  EXPECT_EQ(options.display, Display::headless);
  EXPECT_EQ(options.recording, Recording::off);
  EXPECT_EQ(options.out, "o");
}

TEST(Options, help_is_no_error) {
  const auto parsed = parse({"--help"});
  EXPECT_FALSE(parsed.outcome.options);
  EXPECT_EQ(parsed.outcome.exit_code, 0);
}

struct BadLine {
  const char* name;
  std::vector<const char*> arguments;
  const char* says;
};
void PrintTo(const BadLine& line, std::ostream* out) { *out << line.name; }

class BadOptions : public ::testing::TestWithParam<BadLine> {};

TEST_P(BadOptions, are_refused_with_a_message_that_names_them) {
  std::vector<const char*> arguments{"--video", "v.avi", "--model", "m.onnx"};
  arguments.insert(arguments.end(), GetParam().arguments.begin(), GetParam().arguments.end());
  const auto parsed = parse(arguments);
  EXPECT_FALSE(parsed.outcome.options);
  EXPECT_NE(parsed.outcome.exit_code, 0);
  EXPECT_EQ(parsed.error.rfind("error: ", 0), 0U) << parsed.error;
  EXPECT_NE(parsed.error.find(GetParam().says), std::string::npos) << parsed.error;
}

INSTANTIATE_TEST_SUITE_P(
    Lines, BadOptions,
    ::testing::Values(
        BadLine{"unknown", {"--fast"}, "--fast"}, BadLine{"place", {"--place", "moon"}, "moon"},
        BadLine{"policy", {"--policy", "moon"}, "min_latency"},
        BadLine{"policy_and_place", {"--policy", "local", "--place", "local"}, "--place"},
        BadLine{"percent", {"--device-cpu", "101"}, "--device-cpu"},
        BadLine{"never_switching", {"--switch-every", "0"}, "--switch-every"},
        BadLine{"nothing_in_flight", {"--in-flight", "0"}, "--in-flight"},
        BadLine{"no_device", {"--inference-device", "tpu"}, "--inference-device"},
        BadLine{"no_threads", {"--inference-threads", "0"}, "--inference-threads"},
        BadLine{"a_count_that_is_none", {"--frames", "many"}, "--frames"},
        BadLine{"remote_without_edge", {"--place", "remote"}, "--edge"},
        BadLine{"baseline_without_edge", {"--baseline"}, "--edge"},
        BadLine{"trace_without_edge", {"--record-trace", "t.csv"}, "--edge"},
        BadLine{"edge_and_cluster", {"--edge", "10.0.0.7:7411", "--cluster", "auto"}, "--cluster"},
        BadLine{"nobody_in_a_cluster", {"--cluster", "auto"}, "--cluster-token"},
        BadLine{"token_of_no_cluster", {"--cluster-token", "/dev/null"}, "--cluster"}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace detect
