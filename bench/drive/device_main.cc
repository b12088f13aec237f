// The device of a drive (world.h): looks for objects in one frame of a video after the other, until
// it is told to end (SIGTERM), and writes a line (frame.h) for each.
//
// It is held to a share of a core as apps/detect is. A policy says where frames are computed; after
// every few of them one is computed here and one at the edge whatever the policy says, by a runtime
// of its own, from which the policy learns nothing.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "detect.aloft.h"
#include "detect.h"
#include "edge_link.h"
#include "figures.h"
#include "frame.h"
#include "hold.h"
#include "recall.h"
#include "video.h"
#include <aloft/policy.h>
#include <aloft/runtime.h>

namespace aloft::drive {
namespace {

using namespace std::chrono_literals;
using bench::must;

enum class Codec : std::uint8_t { raw, automatic };

struct Options {
  std::string edge;
  std::string video;
  std::filesystem::path model;
  std::string policy = "min_latency";
  Codec codec = Codec::raw;
  int hold_percent = 30;
  std::size_t images = 60;
  std::uint64_t fixed_after = 0;  // frames of the policy; 0: none are fixed
};

std::atomic<bool> stop_requested = false;

std::unique_ptr<Runtime> make_runtime(const Options& options, std::shared_ptr<Policy> policy) {
  RuntimeOptions wanted;
  wanted.edges = {options.edge};
  wanted.policy = std::move(policy);
  wanted.models.emplace(detect::kDetectorGraph, options.model);
  wanted.max_in_flight = 1;
  wanted.call_timeout = 30s;  // a frame of a slow link takes its time
  wanted.explain = true;
  wanted.log_level = LogLevel::warning;
  if (options.codec == Codec::automatic)
    wanted.functions["detect::detect_object"].images = ImageCodec::automatic(detect::missed, 0.03);
  auto runtime = must(Runtime::create(std::move(wanted)));
  must(runtime->wait_for_edge(60s));
  return runtime;
}

class Device {
 public:
  Device(const Options& options, std::vector<cv::Mat> frames)
      : options_(options),
        frames_(std::move(frames)),
        decides_(make_runtime(options, must(policy_by_name(options.policy)))) {
    if (options.fixed_after > 0) fixed_ = make_runtime(options, remote_policy());
  }

  void run() {
    while (!stop_requested) {
      bind(*decides_);
      for (std::uint64_t i = 0; i < std::max<std::uint64_t>(1, options_.fixed_after); ++i)
        frame(Chooser::policy);
      if (!fixed_) continue;
      bind(*fixed_);
      // No result is late because of a run here that was given up: both have the device alone.
      {
        const PlaceScope here(Place::here);
        frame(Chooser::always_here);
      }
      frame(Chooser::always_edge);
    }
  }

 private:
  void frame(Chooser chooser) {
    if (stop_requested) return;
    Frame made{.number = number_, .image = number_ % frames_.size(), .chooser = chooser};
    ++number_;
    const Image image = image_of(frames_[made.image]);
    made.began = std::chrono::steady_clock::now();
    auto call = detect::detect_object_async(image);
    const auto found = call.get();
    const CallRecord& record = call.record();
    made.latency_ms = std::chrono::duration<double, std::milli>(record.latency).count();
    made.place = record.place;
    made.tries = record.reason.code() == ReasonCode::tries_edge ||
                 record.reason.code() == ReasonCode::tries_here;
    made.fell_back = record.fell_back;
    made.reason = record.reason.text();
    if (found) {
      made.digest = digest_of(*found);
    } else {
      made.error = found.error().message;
    }
    std::printf("%s\n", to_line(made).c_str());
    std::fflush(stdout);
  }

  const Options& options_;
  const std::vector<cv::Mat> frames_;
  const std::unique_ptr<Runtime> decides_;
  std::unique_ptr<Runtime> fixed_;
  std::uint64_t number_ = 0;
};

Options read_options(int argc, char** argv) {
  Options options;
  CLI::App app{"The device of a drive"};
  const std::map<std::string, Codec> codecs{{"raw", Codec::raw}, {"auto", Codec::automatic}};
  app.add_option("--edge", options.edge)->required();
  app.add_option("--video", options.video)->required();
  app.add_option("--model", options.model)->required()->check(CLI::ExistingFile);
  app.add_option("--policy", options.policy);
  app.add_option("--codec", options.codec)->transform(CLI::CheckedTransformer(codecs));
  app.add_option("--hold", options.hold_percent)->check(CLI::Range(1, 100));
  app.add_option("--images", options.images)->check(CLI::PositiveNumber);
  app.add_option("--fixed-after", options.fixed_after);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return options;
}

void run(const Options& options) {
  struct sigaction action = {};
  action.sa_handler = [](int) { stop_requested = true; };
  ::sigaction(SIGTERM, &action, nullptr);
  Device device(options, must(first_frames(options.video, options.images)));
  std::optional<detect::CpuHold> held;
  if (options.hold_percent < 100) held = must(detect::CpuHold::apply(options.hold_percent));
  std::printf("driving\n");
  std::fflush(stdout);
  device.run();
}

}  // namespace
}  // namespace aloft::drive

int main(int argc, char** argv) {
  aloft::drive::run(aloft::drive::read_options(argc, argv));
  return 0;
}
