#include "host/metered_graph.h"

#include <array>
#include <future>

#include <gtest/gtest.h>

#include "inference/testing/onnx_writer.h"

namespace aloft::host {
namespace {

using namespace std::chrono_literals;

class MeteredGraphTest : public ::testing::Test {
 protected:
  struct User {
    InferenceMeter meter;
    std::shared_ptr<inference::Graph> graph;
    std::unique_ptr<inference::Execution> execution;
  };
  void prepare(User& user, const std::vector<std::byte>& model) {
    user.graph =
        make_metered_graph(engine_->load_onnx(model).value(), sha256(model), turns_, user.meter);
    user.execution = user.graph->make_execution().value();
    const std::array<std::uint32_t, 1> dims{1};
    ASSERT_TRUE(user.execution->set_input(
        0, {nn::ElementType::f32, dims, std::as_bytes(std::span(input_))}));
  }

  std::unique_ptr<inference::Engine> engine_ =
      inference::make_cpu_engine({.threads = 1, .concurrency = 2}).value();
  InferenceTurns turns_;
  const std::array<float, 1> input_{21};
  const std::vector<std::byte> doubling_ = inference::testing::doubling_model({1});
  const std::vector<std::byte> endless_ = inference::testing::endless_model();
};

TEST_F(MeteredGraphTest, time_and_digests_of_a_calls_inferences_are_counted) {
  User user;
  prepare(user, doubling_);
  user.meter.begin(TensorDigests::yes);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(
        inference::compute_and_wait(*user.execution, std::chrono::steady_clock::time_point::max()));
  }
  const auto reading = user.meter.end();
  EXPECT_GT(reading.time, 0ns);
  const std::string digest = sha256(std::as_bytes(std::span(input_))).hex();
  EXPECT_EQ(reading.digests, (std::vector<std::string>{digest, digest}));
  EXPECT_TRUE(user.meter.end().digests.empty());
}

TEST_F(MeteredGraphTest, an_inference_waits_for_the_one_before_and_can_be_cancelled_meanwhile) {
  User hog, next;
  prepare(hog, endless_);
  prepare(next, doubling_);
  std::promise<Result<void>> hog_ended;
  hog.execution->compute([&](Result<void> outcome) { hog_ended.set_value(std::move(outcome)); });
  EXPECT_EQ(hog.meter.computing(), sha256(endless_));

  const auto waited =
      inference::compute_and_wait(*next.execution, std::chrono::steady_clock::now() + 50ms);
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code, Errc::deadline_exceeded);
  EXPECT_EQ(next.meter.computing(), std::nullopt) << "it never had its turn";

  hog.execution->cancel();
  EXPECT_EQ(hog_ended.get_future().get().error().code, Errc::cancelled);
  EXPECT_EQ(hog.meter.computing(), std::nullopt);
  EXPECT_TRUE(
      inference::compute_and_wait(*next.execution, std::chrono::steady_clock::time_point::max()));
}

TEST_F(MeteredGraphTest, destroying_one_that_waits_withdraws_it) {
  User hog;
  prepare(hog, endless_);
  std::promise<void> hog_ended, next_ended;
  hog.execution->compute([&](Result<void>) { hog_ended.set_value(); });
  {
    User next;
    prepare(next, doubling_);
    next.execution->compute([&](Result<void>) { next_ended.set_value(); });
  }
  next_ended.get_future().wait();
  hog.execution->cancel();
  hog_ended.get_future().wait();
}

}  // namespace
}  // namespace aloft::host
