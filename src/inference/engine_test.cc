#include "inference/engine.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inference/testing/onnx_writer.h"
#include "test_paths.h"

namespace aloft::inference {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using ::testing::HasSubstr;

constexpr auto kNoDeadline = steady_clock::time_point::max();

std::unique_ptr<Engine> engine(EngineOptions options = {}) {
  return make_cpu_engine(options).value();
}

TensorView view(const std::vector<float>& values, const std::vector<std::uint32_t>& dims) {
  return {ElementType::f32, dims, std::as_bytes(std::span(values))};
}

std::vector<float> floats(const TensorView& tensor) {
  std::vector<float> values(tensor.data.size() / sizeof(float));
  std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}

const std::vector<std::uint32_t> kOne{1};
const std::vector<float> kX{1.0F};

std::unique_ptr<Execution> ready(Graph& graph) {
  auto execution = graph.make_execution().value();
  EXPECT_TRUE(execution->set_input(0, view(kX, kOne)));
  return execution;
}

struct Outcome {
  std::latch ended{1};
  Result<void> result;
  Completion completion() {
    return [this](Result<void> outcome) {
      result = std::move(outcome);
      ended.count_down();
    };
  }
};

TEST(Engine, computes_what_the_model_says) {
  const auto graph = engine()->load_onnx(testing::doubling_model({2, 3})).value();
  ASSERT_EQ(graph->inputs().size(), 1U);
  EXPECT_EQ(graph->inputs()[0].name, "x");
  EXPECT_EQ(graph->inputs()[0].dims, (std::vector<std::uint32_t>{2, 3}));
  EXPECT_EQ(graph->outputs()[0].name, "y");

  const auto execution = graph->make_execution().value();
  const std::vector<float> x{1, 2, 3, 4, 5, 6};
  const std::vector<std::uint32_t> dims{2, 3};
  ASSERT_TRUE(execution->set_input(0, view(x, dims)));
  ASSERT_TRUE(compute_and_wait(*execution, kNoDeadline));
  const auto y = execution->output(0).value();
  EXPECT_EQ(std::vector(y.dims.begin(), y.dims.end()), dims);
  EXPECT_EQ(floats(y), (std::vector<float>{2, 4, 6, 8, 10, 12}));
}

TEST(Engine, reads_large_inputs_where_they_lie) {
  const auto graph = engine()->load_onnx(testing::doubling_model({4096})).value();
  const auto execution = graph->make_execution().value();
  std::vector<float> x(4096, 1.0F);
  const std::vector<std::uint32_t> dims{4096};
  ASSERT_TRUE(execution->set_input(0, view(x, dims)));
  x[7] = 21.0F;  // after set_input: seen, as nothing was copied
  ASSERT_TRUE(compute_and_wait(*execution, kNoDeadline));
  EXPECT_EQ(floats(execution->output(0).value())[7], 42.0F);
}

TEST(Engine, takes_inputs_at_any_address) {
  const auto graph = engine()->load_onnx(testing::doubling_model({4096})).value();
  const auto execution = graph->make_execution().value();
  std::vector<std::byte> bytes(4096 * sizeof(float) + 1);
  const float three = 3.0F;
  std::memcpy(&bytes[1], &three, sizeof three);
  const std::vector<std::uint32_t> dims{4096};
  ASSERT_TRUE(execution->set_input(0, {ElementType::f32, dims, std::span(bytes).subspan(1)}));
  ASSERT_TRUE(compute_and_wait(*execution, kNoDeadline));
  EXPECT_EQ(floats(execution->output(0).value())[0], 6.0F);
}

TEST(Engine, a_model_that_leaves_a_dimension_open_takes_any_size) {
  const auto graph = engine()->load_onnx(testing::doubling_model({-1, 2})).value();
  EXPECT_EQ(graph->inputs()[0].dims, (std::vector<std::uint32_t>{0, 2}));
  const auto execution = graph->make_execution().value();
  for (const std::uint32_t rows : {1U, 3U}) {
    const std::vector<float> x(rows * 2, 4.0F);
    const std::vector<std::uint32_t> dims{rows, 2};
    ASSERT_TRUE(execution->set_input(0, view(x, dims)));
    ASSERT_TRUE(compute_and_wait(*execution, kNoDeadline));
    EXPECT_EQ(floats(execution->output(0).value()), std::vector<float>(rows * 2, 8.0F));
  }
}

TEST(Engine, an_input_of_another_shape_type_or_size_is_refused_with_both_named) {
  const auto graph = engine()->load_onnx(testing::doubling_model({2, 3})).value();
  const auto execution = graph->make_execution().value();
  const std::vector<float> x(6);
  const std::vector<std::uint32_t> good{2, 3}, swapped{3, 2}, flat{6};

  for (const auto* dims : {&swapped, &flat}) {
    const auto set = execution->set_input(0, view(x, *dims));
    ASSERT_FALSE(set);
    EXPECT_EQ(set.error().code, Errc::invalid_argument);
    EXPECT_THAT(set.error().message, HasSubstr("f32 2x3"));
  }
  const auto typed = execution->set_input(0, {ElementType::i32, good, std::as_bytes(std::span(x))});
  ASSERT_FALSE(typed);
  EXPECT_THAT(typed.error().message, HasSubstr("got i32 2x3"));
  const auto shortened =
      execution->set_input(0, {ElementType::f32, good, std::as_bytes(std::span(x)).first(20)});
  ASSERT_FALSE(shortened);
  EXPECT_THAT(shortened.error().message, HasSubstr("takes 24 bytes, got 20"));
  EXPECT_FALSE(execution->set_input(1, view(x, good)));
}

TEST(Engine, sizes_that_overflow_are_refused) {
  const auto graph = engine()->load_onnx(testing::doubling_model({-1, -1, -1})).value();
  const auto execution = graph->make_execution().value();
  const std::vector<float> x(4);
  const std::vector<std::uint32_t> huge{0x8000'0000U, 0x8000'0000U, 4};
  EXPECT_FALSE(execution->set_input(0, view(x, huge)));
}

TEST(Engine, computing_without_an_input_fails_and_there_is_no_output) {
  const auto graph = engine()->load_onnx(testing::doubling_model({1})).value();
  const auto execution = graph->make_execution().value();
  const auto computed = compute_and_wait(*execution, kNoDeadline);
  ASSERT_FALSE(computed);
  EXPECT_EQ(computed.error().code, Errc::invalid_argument);
  EXPECT_THAT(computed.error().message, HasSubstr("input 0 'x' was not set"));
  EXPECT_FALSE(execution->output(0));
  EXPECT_FALSE(execution->output(1));
}

TEST(Engine, two_executions_share_a_graph_at_the_same_time) {
  const auto graph =
      engine({.threads = 1, .concurrency = 2})->load_onnx(testing::doubling_model({1024})).value();
  const auto work = [&](float value) {
    const auto execution = graph->make_execution().value();
    const std::vector<float> x(1024, value);
    const std::vector<std::uint32_t> dims{1024};
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(execution->set_input(0, view(x, dims)));
      ASSERT_TRUE(compute_and_wait(*execution, kNoDeadline));
      ASSERT_EQ(floats(execution->output(0).value()), std::vector<float>(1024, 2 * value));
    }
  };
  std::jthread one(work, 1.0F);
  std::jthread two(work, 2.0F);
}

TEST(Engine, graphs_and_executions_outlive_the_engine) {
  auto made = engine();
  auto graph = made->load_onnx(testing::doubling_model({1})).value();
  made.reset();
  const auto execution = ready(*graph);
  graph.reset();
  ASSERT_TRUE(compute_and_wait(*execution, kNoDeadline));
  EXPECT_EQ(floats(execution->output(0).value()), std::vector<float>{2.0F});
}

TEST(Engine, a_loop_without_end_stops_when_cancelled) {
  const auto graph = engine()->load_onnx(testing::endless_model()).value();
  const auto execution = ready(*graph);
  Outcome outcome;
  execution->compute(outcome.completion());
  execution->cancel();
  outcome.ended.wait();
  ASSERT_FALSE(outcome.result);
  EXPECT_EQ(outcome.result.error().code, Errc::cancelled);
}

TEST(Engine, a_loop_without_end_stops_at_its_deadline) {
  const auto graph = engine()->load_onnx(testing::endless_model()).value();
  const auto execution = ready(*graph);
  const auto start = steady_clock::now();
  const auto computed = compute_and_wait(*execution, start + 50ms);
  ASSERT_FALSE(computed);
  EXPECT_EQ(computed.error().code, Errc::deadline_exceeded);
  EXPECT_GE(steady_clock::now() - start, 50ms);
}

TEST(Engine, a_loop_without_end_stops_when_a_stop_is_requested) {
  const auto graph = engine()->load_onnx(testing::endless_model()).value();
  const auto execution = ready(*graph);
  std::stop_source source;
  Result<void> computed;
  std::jthread waiter(
      [&] { computed = compute_and_wait(*execution, kNoDeadline, source.get_token()); });
  source.request_stop();
  waiter.join();
  ASSERT_FALSE(computed);
  EXPECT_EQ(computed.error().code, Errc::cancelled);
}

TEST(Engine, an_execution_computes_again_after_it_was_cancelled) {
  const auto made = engine();
  const auto endless = made->load_onnx(testing::endless_model()).value();
  const auto execution = ready(*endless);
  for (int i = 0; i < 3; ++i) {
    const auto computed = compute_and_wait(*execution, steady_clock::now() + 10ms);
    ASSERT_FALSE(computed);
    EXPECT_EQ(computed.error().code, Errc::deadline_exceeded);
    EXPECT_FALSE(execution->output(0));
  }
}

TEST(Engine, one_that_waits_its_turn_is_cancelled_without_waiting) {
  const auto made = engine();
  const auto endless = made->load_onnx(testing::endless_model()).value();
  const auto doubling = made->load_onnx(testing::doubling_model({1})).value();
  const auto running = ready(*endless);
  Outcome first;
  running->compute(first.completion());
  const auto waiting = ready(*doubling);
  Outcome second;
  waiting->compute(second.completion());
  waiting->cancel();
  second.ended.wait();
  ASSERT_FALSE(second.result);
  EXPECT_EQ(second.result.error().code, Errc::cancelled);
  running->cancel();
  first.ended.wait();
}

TEST(Engine, destroying_an_execution_ends_what_it_computes) {
  const auto graph = engine()->load_onnx(testing::endless_model()).value();
  Outcome outcome;
  {
    const auto execution = ready(*graph);
    execution->compute(outcome.completion());
  }
  EXPECT_TRUE(outcome.ended.try_wait());
  EXPECT_FALSE(outcome.result);
}

TEST(Engine, a_completion_may_compute_again) {
  const auto graph = engine()->load_onnx(testing::doubling_model({1})).value();
  const auto execution = ready(*graph);
  Outcome outcome;
  execution->compute([&](const Result<void>& first) {
    EXPECT_TRUE(first);
    execution->compute(outcome.completion());
  });
  outcome.ended.wait();
  EXPECT_TRUE(outcome.result);
}

TEST(Engine, a_truncated_model_and_external_data_are_told_apart) {
  const auto made = engine();
  const auto whole = testing::doubling_model({1});
  const auto truncated = made->load_onnx(std::span(whole).first(whole.size() / 2));
  ASSERT_FALSE(truncated);
  EXPECT_EQ(truncated.error().code, Errc::corrupt);
  EXPECT_THAT(truncated.error().message, HasSubstr("truncated"));

  const auto weights = testing::Proto{}.number(1, 1).number(2, 1).text(8, "w").number(14, 1);
  const auto outside = made->load_onnx(testing::model(
      testing::graph("g", {{.op = "Add", .inputs = {"x", "w"}, .outputs = {"y"}}},
                     {testing::value_info("x", testing::OnnxType::f32, {1})},
                     {testing::value_info("y", testing::OnnxType::f32, {1})}, {weights})));
  ASSERT_FALSE(outside);
  EXPECT_EQ(outside.error().code, Errc::refused);
}

TEST(Engine, a_graph_that_makes_no_sense_is_reported_with_the_engines_words) {
  const auto made = engine();
  const auto unknown = made->load_onnx(
      testing::model(testing::graph("g", {{.op = "Frobnicate", .inputs = {"x"}, .outputs = {"y"}}},
                                    {testing::value_info("x", testing::OnnxType::f32, {1})},
                                    {testing::value_info("y", testing::OnnxType::f32, {1})})));
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("Frobnicate"));
  EXPECT_NE(unknown.error().code, Errc::internal);
}

TEST(Engine, describes_itself) {
  EXPECT_THAT(engine()->description(),
              ::testing::MatchesRegex("onnxruntime 1\\..*, CPU, 1 thread"));
  EXPECT_THAT(engine({.threads = 2, .concurrency = 1})->description(), HasSubstr("2 threads"));
}

TEST(Engine, options_out_of_range_are_refused) {
  EXPECT_FALSE(make_cpu_engine({.threads = 0, .concurrency = 1}));
  EXPECT_FALSE(make_cpu_engine({.threads = 1, .concurrency = 0}));
}

TEST(Engine, loads_and_cancels_a_real_detector) {
  const auto path = aloft::testing::source_dir() / "../shared/models/yolov8n-coco-int8.onnx";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  std::ifstream file(path, std::ios::binary);
  std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  const auto graph = engine()->load_onnx(std::as_bytes(std::span(bytes))).value();
  ASSERT_EQ(graph->inputs().size(), 1U);
  EXPECT_EQ(graph->inputs()[0].dims, (std::vector<std::uint32_t>{1, 3, 640, 640}));
  EXPECT_EQ(graph->outputs()[0].dims, (std::vector<std::uint32_t>{1, 84, 8400}));

  const auto execution = graph->make_execution().value();
  const std::vector<float> grey(std::size_t{3} * 640 * 640, 114.0F / 255.0F);
  const std::vector<std::uint32_t> dims{1, 3, 640, 640};
  ASSERT_TRUE(execution->set_input(0, view(grey, dims)));
  ASSERT_TRUE(compute_and_wait(*execution, kNoDeadline));
  const std::vector<float> once = floats(execution->output(0).value());
  ASSERT_TRUE(compute_and_wait(*execution, kNoDeadline));
  EXPECT_EQ(floats(execution->output(0).value()), once);

  const auto cancelled = compute_and_wait(*execution, steady_clock::now() + 5ms);
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().code, Errc::deadline_exceeded);
}

TEST(Engine, a_device_is_cpu_cuda_or_auto) {
  EXPECT_EQ(parse_device("cpu"), Device::cpu);
  EXPECT_EQ(parse_device("cuda"), Device::cuda);
  EXPECT_EQ(parse_device("auto"), Device::automatic);
  EXPECT_EQ(parse_device("gpu").error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace aloft::inference
