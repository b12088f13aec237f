// A guest in another language that runs on the device as well, here in Rust: when its edge goes
// away, its calls and objects go on in this process; and there it harms nothing, whatever it does.
#include <atomic>
#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include "conformance.aloft.h"
#include "conformance.h"
#include "inference/testing/onnx_writer.h"
#include "support/demo.h"
#include "support/temp_dir.h"
#include "test_paths.h"
#include <aloft/function.h>
#include <aloft/object.h>
#include <aloft/runtime.h>

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr auto kPatience = 120s;

class HomeWithAnEdge : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto model = inference::testing::doubling_model({1});
    write_file(folder_.path() / "doubling.onnx", model);
    auto edge = DemoEdge::start(folder_.path());
    ASSERT_TRUE(edge) << edge.error().message;
    edge_.emplace(*std::move(edge));
    RuntimeOptions options;
    options.edges = {"127.0.0.1:" + std::to_string(edge_->port())};
    options.models = {{"doubling", folder_.path() / "doubling.onnx"}};
    options.policy = remote_policy();
    options.call_timeout = kPatience;
    auto runtime = Runtime::create(std::move(options));
    ASSERT_TRUE(runtime) << runtime.error().message;
    runtime_ = *std::move(runtime);
    bind(*runtime_);
    const auto ready = runtime_->wait_for_edge(kPatience);
    ASSERT_TRUE(ready) << ready.error().message << edge_->process().transcript();
  }
  void TearDown() override { unbind(); }

  static Place place_of_a_call(std::int32_t number) {
    auto call = conformance::next_i32_async(number);
    const auto result = call.get();
    EXPECT_TRUE(result) << result.error().message;
    if (result) EXPECT_EQ(*result, number + 1);
    return call.record().place;
  }

  TempDir folder_;
  std::optional<DemoEdge> edge_;
  std::unique_ptr<Runtime> runtime_;
};

TEST_F(HomeWithAnEdge, calls_go_on_here_when_the_edge_dies) {
  ASSERT_EQ(place_of_a_call(1), Place::edge);
  // Some are under way when it dies.
  std::vector<std::uint8_t> bytes(100'000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
  std::vector<Future<std::vector<std::uint8_t>>> under_way;
  for (int i = 0; i < 20; ++i) under_way.push_back(conformance::reversed_bytes_async(bytes));
  edge_->process().kill();
  const std::vector<std::uint8_t> reversed(bytes.rbegin(), bytes.rend());
  for (auto& call : under_way) {
    const auto result = call.get();
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(*result, reversed);
  }
  for (std::int32_t i = 0; i < 100; ++i) ASSERT_EQ(place_of_a_call(i), Place::here);
  EXPECT_EQ(conformance::infer(21.0F), 42.0F) << "inferences run on the device's own engine";
  EXPECT_EQ(conformance::language(), "rust");
}

TEST_F(HomeWithAnEdge, an_object_goes_on_here_when_its_edge_dies) {
  conformance::Notebook notebook;
  const auto moved = move_to(notebook, Location::edge(0));
  ASSERT_TRUE(moved) << moved.error().message;
  for (std::uint32_t i = 1; i <= 10; ++i) ASSERT_EQ(notebook.write("there", 2), i);
  edge_->process().kill();
  for (std::uint32_t i = 11; i <= 20; ++i) ASSERT_EQ(notebook.write("here", 3), i);
  EXPECT_EQ(notebook.weight(), 50);
  EXPECT_EQ(notebook.line(9), "there");
  EXPECT_EQ(notebook.line(10), "here");
  EXPECT_EQ(notebook.weight_here(), 50);
}

TEST(Home, serves_a_program_without_a_runtime) {
  EXPECT_EQ(conformance::next_i32(41), 42);
  EXPECT_EQ(conformance::reversed("abc"), "cba");
  conformance::Notebook notebook;
  EXPECT_EQ(notebook.write("a", 5), 1U);
  EXPECT_EQ(notebook.write("b", 6), 2U);
  EXPECT_EQ(notebook.weight(), 11);
  EXPECT_EQ(notebook.line(1), "b");
  notebook.clear();
  EXPECT_EQ(notebook.weight(), 0);
}

TEST(Home, ends_a_call_that_traps_and_leaves_the_programs_signals_alone) {
  struct sigaction before{};
  ASSERT_EQ(sigaction(SIGSEGV, nullptr, &before), 0);
  for (int round = 0; round < 3; ++round) {
    const auto divided = conformance::quotient_async(1, 0).get();
    ASSERT_FALSE(divided);
    EXPECT_EQ(divided.error().code, Errc::trapped) << divided.error().message;
    const auto fallen = conformance::fall_async(0).get();
    ASSERT_FALSE(fallen);
    EXPECT_EQ(fallen.error().code, Errc::trapped);
    const auto given_up = conformance::give_up_async("enough").get();
    ASSERT_FALSE(given_up);
    EXPECT_EQ(given_up.error().code, Errc::trapped);
    EXPECT_EQ(given_up.error().message, "call aborted: enough");
    EXPECT_EQ(conformance::next_i32(round), round + 1);
  }
  struct sigaction after{};
  ASSERT_EQ(sigaction(SIGSEGV, nullptr, &after), 0);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
}

TEST(Home, leaves_an_object_as_it_was_when_a_call_of_it_traps) {
  conformance::Notebook notebook;
  EXPECT_EQ(notebook.write("a", 5), 1U);
  const auto result = conformance::line_async(notebook, 7).get();
  if (!result) EXPECT_EQ(result.error().code, Errc::trapped);
  EXPECT_EQ(notebook.write("b", 1), 2U);
  EXPECT_EQ(notebook.weight_here(), 6);
}

TEST(Home, serves_many_threads_at_once) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&wrong, t] {
      for (std::int32_t i = 0; i < 500; ++i) {
        if (conformance::next_i32(i) != i + 1) ++wrong;
        if (i % 50 == t && conformance::quotient_async(1, 0).get()) ++wrong;
        if (conformance::reversed(std::string(300, static_cast<char>('a' + t))) !=
            std::string(300, static_cast<char>('a' + t)))
          ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Home, refuses_a_thread_whose_stack_is_too_small_and_says_so) {
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, std::size_t{256} << 10), 0);
  static std::optional<Error> error;
  pthread_t thread{};
  const auto body = [](void*) -> void* {
    const auto result = conformance::next_i32_async(1).get();
    if (!result) error = result.error();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, body, nullptr), 0);
  ASSERT_EQ(pthread_join(thread, nullptr), 0);
  pthread_attr_destroy(&attributes);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Errc::resource_exhausted);
  EXPECT_THAT(error->message, HasSubstr("of stack left"));
}

}  // namespace
}  // namespace aloft::testing
