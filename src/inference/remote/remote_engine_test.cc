// A remote engine behaves as one in this process does, and outlives the process behind it.
#include "inference/remote/remote_engine.h"

#include <atomic>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inference/service/testing/both_sides.h"

namespace aloft::inference {
namespace {

using namespace service::testing;
using service::ServiceOptions;
using ::testing::HasSubstr;
namespace onnx = inference::testing;

TEST(RemoteEngine, computes_what_the_model_says) {
  Server server;
  const auto engine = server.engine();
  const auto graph = engine->load_onnx(onnx::doubling_model({2, 3})).value();
  ASSERT_EQ(graph->inputs().size(), 1U);
  EXPECT_EQ(graph->inputs()[0].name, "x");
  EXPECT_EQ(graph->inputs()[0].dims, (std::vector<std::uint32_t>{2, 3}));
  EXPECT_EQ(graph->outputs()[0].name, "y");
  EXPECT_EQ(infer(*graph, {1, 2, 3, 4, 5, 6}, {2, 3}).value(),
            (std::vector<float>{2, 4, 6, 8, 10, 12}));
}

TEST(RemoteEngine, refuses_in_the_words_of_an_engine_in_this_process) {
  Server server;
  const auto remote = server.engine();
  const auto local = make_cpu_engine({}).value();
  for (Engine* const engine : {static_cast<Engine*>(remote.get()), local.get()}) {
    EXPECT_EQ(engine->load_onnx(std::vector<std::byte>(100)).error().code, Errc::corrupt);
    const auto graph = engine->load_onnx(onnx::doubling_model({2, 3})).value();
    EXPECT_THAT(infer(*graph, {1, 2}, {2}).error().message, HasSubstr("f32 2x3, got f32 2"));
    const auto execution = graph->make_execution().value();
    EXPECT_THAT(compute_and_wait(*execution, kNoDeadline).error().message,
                HasSubstr("input 0 'x' was not set"));
    EXPECT_FALSE(execution->output(0));
    EXPECT_FALSE(execution->output(1));
  }
}

// Another engine, which counts what it is given to load.
class SecondEngine final : public Engine {
 public:
  Result<std::shared_ptr<Graph>> load_onnx(std::span<const std::byte> model) override {
    ++loaded;
    return engine_->load_onnx(model);
  }
  std::string description() const override { return "the second of two"; }
  std::atomic<int> loaded = 0;

 private:
  const std::unique_ptr<Engine> engine_ = make_cpu_engine({.threads = 2}).value();
};

TEST(RemoteEngine, models_are_on_the_accelerator_of_those_who_may_use_it_and_of_nobody_else) {
  const auto accelerated = std::make_shared<SecondEngine>();
  Server server({}, accelerated);
  const auto model = onnx::doubling_model({1});
  const auto plain = server.engine("acme");
  EXPECT_EQ(infer(*plain->load_onnx(model).value(), {2}, {1}).value(), std::vector<float>{4});
  EXPECT_EQ(accelerated->loaded, 0);
  const auto fast = server.engine("other", {.accelerator = service::Accelerator::yes});
  const auto graph = fast->load_onnx(model).value();  // goes on to be there for others
  EXPECT_EQ(infer(*graph, {3}, {1}).value(), std::vector<float>{6});
  EXPECT_EQ(accelerated->loaded, 1) << "though the processor's engine has that model";
  const auto again = server.engine("third", {.accelerator = service::Accelerator::yes});
  EXPECT_EQ(infer(*again->load_onnx(model).value(), {4}, {1}).value(), std::vector<float>{8});
  EXPECT_EQ(accelerated->loaded, 1) << "they share it";
  EXPECT_EQ(infer(*plain->load_onnx(model).value(), {5}, {1}).value(), std::vector<float>{10});
  EXPECT_EQ(accelerated->loaded, 1);
}

TEST(RemoteEngine, outputs_of_a_size_that_nobody_knows_before_get_their_room) {
  Server server;
  const auto engine = server.engine();
  const auto twice = onnx::model(onnx::graph("twice",
                                             {{.op = "Concat",
                                               .inputs = {"x", "x"},
                                               .outputs = {"y"},
                                               .attributes = {onnx::int_attribute("axis", 0)}}},
                                             {onnx::value_info("x", onnx::OnnxType::f32, {-1})},
                                             {onnx::value_info("y", onnx::OnnxType::f32, {-1})}));
  const auto graph = engine->load_onnx(twice).value();
  const std::vector<float> x(100'000, 3.0F);
  EXPECT_EQ(infer(*graph, x, {100'000}).value(), std::vector<float>(200'000, 3.0F));
}

TEST(RemoteEngine, an_endless_inference_is_cancelled_and_the_engine_goes_on) {
  Server server({.slots = 1, .beyond = 0});
  const auto engine = server.engine();
  const auto endless = engine->load_onnx(onnx::endless_model()).value();
  const auto doubling = engine->load_onnx(onnx::doubling_model({1})).value();
  for (int i = 0; i < 3; ++i) {
    const auto computed = infer(*endless, {1}, {1}, std::chrono::steady_clock::now() + 50ms);
    ASSERT_FALSE(computed);
    EXPECT_EQ(computed.error().code, Errc::deadline_exceeded);
    EXPECT_EQ(infer(*doubling, {2}, {1}).value(), std::vector<float>{4});
  }
}

TEST(RemoteEngine, an_execution_that_is_dropped_in_mid_inference_leaves_nothing_behind) {
  Server server({.slots = 1, .beyond = 0});
  const auto engine = server.engine();
  const auto endless = engine->load_onnx(onnx::endless_model()).value();
  const std::vector<float> x{1};
  const std::vector<std::uint32_t> dims{1};
  std::atomic<int> cancelled = 0;
  for (int i = 0; i < 20; ++i) {
    const auto execution = endless->make_execution().value();
    ASSERT_TRUE(execution->set_input(0, view(x, dims)));
    execution->compute([&](const Result<void>& outcome) { cancelled += outcome ? 0 : 1; });
  }
  EXPECT_EQ(cancelled, 20);
  const auto doubling = engine->load_onnx(onnx::doubling_model({1})).value();
  EXPECT_EQ(infer(*doubling, {2}, {1}).value(), std::vector<float>{4});
}

TEST(RemoteEngine, many_threads_of_two_tenants_get_their_own_results) {
  Server server({.slots = 2, .models = {.batching = service::Batching::same_bits, .most_rows = 8}});
  const auto one = server.engine("one", {}, {.inferences = 8});
  const auto two = server.engine("two", {}, {.inferences = 8});
  const auto model = onnx::doubling_model({-1, 300});
  const auto work = [&](RemoteEngine& engine, float first) {
    const auto graph = engine.load_onnx(model).value();
    for (int i = 0; i < 200; ++i) {
      const float value = first + static_cast<float>(i);
      const auto y = infer(*graph, std::vector<float>(300, value), {1, 300});
      ASSERT_TRUE(y) << y.error().message;
      ASSERT_EQ(*y, std::vector<float>(300, 2 * value));
    }
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] { work(*one, static_cast<float>(1000 * i)); });
    threads.emplace_back([&, i] { work(*two, static_cast<float>(100'000 + 1000 * i)); });
  }
}

TEST(RemoteEngine, a_call_under_way_is_made_again_at_the_next_process) {
  auto first = std::make_unique<Server>();
  const auto engine = first->engine();
  const auto endless = engine->load_onnx(onnx::endless_model()).value();
  const auto doubling = engine->load_onnx(onnx::doubling_model({1})).value();
  Server second;
  std::jthread call([&] {
    const auto given_up = infer(*endless, {1}, {1}, std::chrono::steady_clock::now() + 3s);
    EXPECT_EQ(given_up.error().code, Errc::deadline_exceeded) << given_up.error().message;
  });
  std::this_thread::sleep_for(50ms);  // whether it is under way by then does not matter
  first.reset();
  engine->connect(second.connect());
  EXPECT_EQ(infer(*doubling, {2}, {1}).value(), std::vector<float>{4});
}

TEST(RemoteEngine, without_a_process_a_call_fails_unreachable_and_says_so) {
  auto server = std::make_unique<Server>();
  std::atomic<int> lost = 0;
  RemoteEngine engine({.description = "remote", .patience = 200ms, .lost = [&] { ++lost; }});
  engine.connect(server->connect());
  const auto doubling = engine.load_onnx(onnx::doubling_model({1})).value();
  server.reset();
  const auto computed = infer(*doubling, {2}, {1});
  ASSERT_FALSE(computed);
  EXPECT_EQ(computed.error().code, Errc::unreachable);
  EXPECT_THAT(computed.error().message, HasSubstr("aloft-infer"));
  EXPECT_EQ(lost, 1);
  EXPECT_EQ(engine.load_onnx(onnx::doubling_model({2})).error().code, Errc::unreachable);
}

TEST(RemoteEngine, a_call_that_loses_its_process_twice_is_not_made_a_third_time) {
  RemoteEngine engine({.description = "remote"});
  auto server = std::make_unique<Server>();
  engine.connect(server->connect());
  const auto endless = engine.load_onnx(onnx::endless_model()).value();
  const auto execution = endless->make_execution().value();
  const std::vector<float> x{1};
  const std::vector<std::uint32_t> dims{1};
  ASSERT_TRUE(execution->set_input(0, view(x, dims)));
  std::atomic<bool> ended = false;
  Result<void> outcome;
  execution->compute([&](Result<void> result) {
    outcome = std::move(result);
    ended = true;
    ended.notify_all();
  });
  // A process that has the call, each time: it is seen by what another one of the same connection
  // gets.
  const auto doubling = engine.load_onnx(onnx::doubling_model({1})).value();
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(infer(*doubling, {2}, {1}));
    server = std::make_unique<Server>();
    engine.connect(server->connect());
  }
  ended.wait(false);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::unreachable);
  EXPECT_THAT(outcome.error().message, HasSubstr("twice"));
}

}  // namespace
}  // namespace aloft::inference
