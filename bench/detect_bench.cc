// What WebAssembly costs detect_object besides the inference: letterbox, box decoding and
// suppression, in the guest and native on the same core.
//
// The network is answered at once with an output recorded from the real one, so that only the
// function's own work is timed, copying that output included. Left out are encoding the arguments
// and carrying them to the guest, which has them in a buffer of its memory. Native is clang 19's
// -O3 for x86-64-v2; v3 is told beside it. Rounds alternate between the three, and what counts is
// the median of the rounds' ratios.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <malloc.h>
#include <nlohmann/json.hpp>
#include <sched.h>

#include "detect.aloft.h"
#include "detect.h"
#include "figures.h"
#include "inference/engine.h"
#include "inference/graph_table.h"
#include "model_file.h"
#include "runtime/engine.h"
#include "runtime/instance.h"
#include "runtime/module.h"
#include "source.h"
#include <aloft/codec.h>
#include <aloft/image.h>

// The same sources, compiled for one processor each under another name of their namespace.
namespace detect_v2 {
std::size_t count_objects(const aloft::Image& frame);
}  // namespace detect_v2
namespace detect_v3 {
std::size_t count_objects(const aloft::Image& frame);
}  // namespace detect_v3

namespace {

using aloft::Result;
using aloft::bench::die;
using aloft::bench::median;
using aloft::bench::quantile;
using aloft::nn::TensorView;
namespace bench = aloft::bench;
namespace inference = aloft::inference;
namespace runtime = aloft::runtime;

constexpr auto kNever = std::chrono::steady_clock::time_point::max();
constexpr const char* kGraph = "detector";

// A network that knows its answer.
class RecordedExecution final : public inference::Execution {
 public:
  explicit RecordedExecution(std::span<const float> answer) : answer_(answer) {}
  Result<void> set_input(std::uint32_t, const TensorView&) override { return {}; }
  void compute(inference::Completion done) override { done({}); }
  void cancel() override {}
  Result<TensorView> output(std::uint32_t) const override {
    static constexpr std::uint32_t kDims[] = {1, 84, 8400};
    return TensorView{aloft::nn::ElementType::f32, kDims, std::as_bytes(answer_)};
  }

 private:
  std::span<const float> answer_;
};

class RecordedGraph final : public inference::Graph {
 public:
  RecordedGraph(const inference::Graph& real, std::vector<float> answer)
      : inputs_(real.inputs()), outputs_(real.outputs()), answer_(std::move(answer)) {}
  const std::vector<inference::TensorInfo>& inputs() const override { return inputs_; }
  const std::vector<inference::TensorInfo>& outputs() const override { return outputs_; }
  Result<std::unique_ptr<inference::Execution>> make_execution() override {
    return std::make_unique<RecordedExecution>(answer_);
  }

 private:
  std::vector<inference::TensorInfo> inputs_;
  std::vector<inference::TensorInfo> outputs_;
  std::vector<float> answer_;
};

// Passes an execution through and keeps its output.
class RecordingGraph final : public inference::Graph {
 public:
  explicit RecordingGraph(std::shared_ptr<inference::Graph> real) : real_(std::move(real)) {}
  const std::vector<inference::TensorInfo>& inputs() const override { return real_->inputs(); }
  const std::vector<inference::TensorInfo>& outputs() const override { return real_->outputs(); }
  Result<std::unique_ptr<inference::Execution>> make_execution() override {
    auto made = real_->make_execution();
    if (!made) return std::unexpected(made.error());
    return std::make_unique<Recording>(*std::move(made), answer);
  }

  std::vector<float> answer;

 private:
  class Recording final : public inference::Execution {
   public:
    Recording(std::unique_ptr<inference::Execution> real, std::vector<float>& answer)
        : real_(std::move(real)), answer_(answer) {}
    Result<void> set_input(std::uint32_t index, const TensorView& tensor) override {
      return real_->set_input(index, tensor);
    }
    void compute(inference::Completion done) override { real_->compute(std::move(done)); }
    void cancel() override { real_->cancel(); }
    Result<TensorView> output(std::uint32_t index) const override {
      auto tensor = real_->output(index);
      if (tensor) {
        const auto* values = reinterpret_cast<const float*>(tensor->data.data());
        answer_.assign(values, values + tensor->data.size() / sizeof(float));
      }
      return tensor;
    }

   private:
    std::unique_ptr<inference::Execution> real_;
    std::vector<float>& answer_;
  };
  std::shared_ptr<inference::Graph> real_;
};

struct Services final : runtime::HostServices {
  explicit Services(std::shared_ptr<inference::Graph> detector) : graph(std::move(detector)) {}
  void on_line(runtime::GuestStream, std::string_view line) override {
    std::fprintf(stderr, "guest: %.*s\n", static_cast<int>(line.size()), line.data());
  }
  Result<std::shared_ptr<inference::Graph>> graph_by_name(std::string_view name) override {
    if (name != kGraph) return aloft::fail(aloft::Errc::not_found, "no graph " + std::string(name));
    return graph;
  }
  Result<std::shared_ptr<inference::Graph>> load_graph(std::span<const std::byte>) override {
    return aloft::fail(aloft::Errc::refused, "no models of the guest's own here");
  }
  std::shared_ptr<inference::Graph> graph;
};

template <class T>
T take(Result<T> result) {
  return bench::must(std::move(result));
}
template <class T>
T take(runtime::CallResult<T> result) {
  if (!result) die(to_error(result.error()).message);
  return *std::move(result);
}

// The function in a guest, with a frame in its memory.
class Guest {
 public:
  Guest(const std::vector<std::byte>& wasm, const std::shared_ptr<inference::Graph>& graph,
        const aloft::Image& frame)
      : engine_(take(runtime::Engine::create({}))),
        module_(take(engine_->load(wasm))),
        services_(graph) {
    if (!module_->manifest()) die("the module has no manifest");
    export_name_ = module_->manifest()->functions.at(0).export_name;
    instance_ = take(runtime::Instance::create(module_, {}, services_, kNever));
    aloft::codec::Writer writer;
    aloft::codec::write_arguments(writer, frame);
    buffer_ = take(instance_->make_buffer(static_cast<std::uint32_t>(writer.size()), kNever));
    size_ = static_cast<std::uint32_t>(writer.size());
    std::size_t at = 0;
    for (const auto segment : writer.segments()) {
      std::ranges::copy(segment, buffer_.bytes.begin() + static_cast<std::ptrdiff_t>(at));
      at += segment.size();
    }
  }

  std::size_t count_objects() {
    const auto reply = take(instance_->call(export_name_, buffer_.address, size_, kNever));
    std::vector<std::byte> bytes;
    for (const auto segment : reply.segments)
      bytes.insert(bytes.end(), segment.begin(), segment.end());
    if (auto released = instance_->release(reply.descriptor, kNever); !released)
      die("release failed");
    return take(aloft::codec::decode<std::vector<detect::Detection>>(bytes)).size();
  }

 private:
  std::shared_ptr<runtime::Engine> engine_;
  std::shared_ptr<const runtime::Module> module_;
  Services services_;
  std::unique_ptr<runtime::Instance> instance_;
  std::string export_name_;
  runtime::GuestBuffer buffer_;
  std::uint32_t size_ = 0;
};

// Processor time of this thread so far, in milliseconds: what others do on the core meanwhile does
// not count.
double processor_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

// Milliseconds of one call: the least of a few, since what disturbs a call only ever makes it
// longer.
double time_calls(const std::function<std::size_t()>& call) {
  constexpr int kCalls = 5;
  double least = std::numeric_limits<double>::max();
  for (int i = 0; i < kCalls; ++i) {
    const double start = processor_ms();
    call();
    least = std::min(least, processor_ms() - start);
  }
  return least;
}

nlohmann::json spread(const std::vector<double>& values) {
  return {{"p10", quantile(values, 0.1)}, {"p50", median(values)}, {"p90", quantile(values, 0.9)}};
}

// From here on this thread stays on the core it is on.
void stay_on_this_core() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(static_cast<unsigned>(::sched_getcpu()), &cores);
  ::sched_setaffinity(0, sizeof cores, &cores);
}

}  // namespace

int main(int argc, char** argv) {
  const auto build = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
  std::filesystem::path module = build / "modules/detect.wasm";
  std::filesystem::path model = build / "../../models/pedestrian.onnx";
  std::filesystem::path json_file;
  std::string video = (build.parent_path() / "deps/video/vtest.avi").string();
  if (!std::filesystem::exists(video)) video = "scene";
  int rounds = 80;
  CLI::App app{
      "Times detect_object without its inference: as a WebAssembly guest and native, on the same "
      "core."};
  app.add_option("--module", module, "the guest")->capture_default_str();
  app.add_option("--model", model, "the network whose output on one frame is recorded")
      ->capture_default_str();
  app.add_option("--video", video, "where that frame comes from")->capture_default_str();
  app.add_option("--rounds", rounds, "how many")
      ->check(CLI::Range(5, 100'000))
      ->capture_default_str();
  app.add_option("--json", json_file, "write the figures there");
  CLI11_PARSE(app, argc, argv);

  // As in a guest, whose memory is never given back: native calls reuse their buffers' pages
  // instead of faulting them in.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
  ::mallopt(M_TRIM_THRESHOLD, 1 << 30);

  const auto source = take(detect::open_source(video));
  const cv::Mat picture = take(source->next());
  const auto frame = aloft::Image::borrow(
      static_cast<std::uint32_t>(picture.cols), static_cast<std::uint32_t>(picture.rows),
      aloft::PixelFormat::bgr8, {picture.data, picture.total() * picture.elemSize()});
  std::shared_ptr<inference::Graph> recorded;
  {
    const auto engine = take(inference::make_cpu_engine({}));
    const auto recording =
        std::make_shared<RecordingGraph>(take(engine->load_onnx(take(detect::read_model(model)))));
    const inference::GraphTable graphs{{kGraph, recording}};
    const inference::GraphScope scope(graphs);
    static_cast<void>(detect::detect_object(frame));
    recorded = std::make_shared<RecordedGraph>(*recording, recording->answer);
  }

  const bool has_v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                      __builtin_cpu_supports("bmi2");
  Guest guest(take(detect::read_model(module)), recorded, frame);
  const inference::GraphTable graphs{{kGraph, recorded}};
  const inference::GraphScope scope(graphs);
  const auto call_guest = [&] { return guest.count_objects(); };
  const auto call_v2 = [&] { return detect_v2::count_objects(frame); };
  const auto call_v3 = [&] { return has_v3 ? detect_v3::count_objects(frame) : 0; };
  const std::size_t objects = call_v2();
  if (call_guest() != objects || (has_v3 && call_v3() != objects))
    die("the versions find different objects");

  stay_on_this_core();
  std::vector<double> wasm, v2, v3, over_v2, over_v3;
  for (int round = 0; round < rounds; ++round) {
    // Each stands next to each: native, guest, native, in turn with guest first.
    const double before = round % 2 == 0 ? time_calls(call_v2) : time_calls(call_guest);
    const double after = round % 2 == 0 ? time_calls(call_guest) : time_calls(call_v2);
    v2.push_back(round % 2 == 0 ? before : after);
    wasm.push_back(round % 2 == 0 ? after : before);
    over_v2.push_back(wasm.back() / v2.back());
    if (has_v3) {
      v3.push_back(time_calls(call_v3));
      over_v3.push_back(wasm.back() / v3.back());
    }
  }

  nlohmann::ordered_json json = {{"pre_post_wasm_over_native", median(over_v2)},
                                 {"pre_post_wasm_over_native_spread", spread(over_v2)},
                                 {"pre_post_wasm_ms", spread(wasm)},
                                 {"pre_post_native_v2_ms", spread(v2)}};
  if (has_v3) {
    json["pre_post_wasm_over_native_v3"] = median(over_v3);
    json["pre_post_native_v3_ms"] = spread(v3);
  }
  json["frame"] = std::to_string(picture.cols) + "x" + std::to_string(picture.rows);
  json["objects"] = objects;
  json["rounds"] = rounds;
  json["wasm_engine"] = runtime::Engine::description();
  std::printf("%s\n", json.dump(2).c_str());
  bench::write_json(json_file, json);
  return 0;
}
