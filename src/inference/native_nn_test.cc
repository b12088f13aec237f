#include <array>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inference/graph_table.h"
#include "inference/testing/onnx_writer.h"
#include <aloft/nn.h>

namespace aloft::nn {
namespace {

using ::testing::HasSubstr;

const Graph kDoubling{"doubling"};

Result<std::vector<float>> doubled(const std::vector<float>& x) {
  auto context = kDoubling.context();
  if (!context) return std::unexpected(context.error());
  const std::array dims{static_cast<std::uint32_t>(x.size())};
  if (auto set = context->set_input(0, {ElementType::f32, dims, std::as_bytes(std::span(x))});
      !set) {
    return std::unexpected(set.error());
  }
  if (auto computed = context->compute(); !computed) return std::unexpected(computed.error());
  std::vector<float> y(x.size());
  const auto got = context->get_output(0, std::as_writable_bytes(std::span(y)));
  if (!got) return std::unexpected(got.error());
  EXPECT_EQ(*got, x.size() * sizeof(float));
  return y;
}

class NativeNn : public ::testing::Test {
 protected:
  std::unique_ptr<inference::Engine> engine_ = inference::make_cpu_engine({}).value();
  inference::GraphTable graphs_{
      {"doubling", engine_->load_onnx(inference::testing::doubling_model({2})).value()}};
};

TEST_F(NativeNn, finds_the_graphs_of_the_scope_on_its_thread) {
  const inference::GraphScope scope{graphs_};
  EXPECT_EQ(doubled({1, 2}).value(), (std::vector<float>{2, 4}));
}

TEST_F(NativeNn, finds_nothing_outside_a_scope_or_on_another_thread) {
  EXPECT_EQ(doubled({1, 2}).error().code, Errc::not_found);
  {
    const inference::GraphScope scope{graphs_};
    std::jthread([] { EXPECT_EQ(doubled({1, 2}).error().code, Errc::not_found); });
  }
  EXPECT_EQ(doubled({1, 2}).error().code, Errc::not_found);
}

TEST_F(NativeNn, the_innermost_scope_counts_and_names_what_it_lacks) {
  const inference::GraphScope outer{graphs_};
  {
    const inference::GraphTable none;
    const inference::GraphScope inner{none};
    const auto result = doubled({1, 2});
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().message, HasSubstr("'doubling'"));
  }
  EXPECT_TRUE(doubled({1, 2}));
}

TEST_F(NativeNn, errors_of_the_engine_come_through) {
  const inference::GraphScope scope{graphs_};
  EXPECT_EQ(doubled({1, 2, 3}).error().code, Errc::invalid_argument);

  auto context = kDoubling.context().value();
  EXPECT_EQ(context.compute().error().code, Errc::invalid_argument);
  std::array<std::byte, 8> buffer{};
  EXPECT_EQ(context.get_output(0, buffer).error().code, Errc::invalid_argument);
}

TEST_F(NativeNn, an_output_that_does_not_fit_says_what_it_takes) {
  const inference::GraphScope scope{graphs_};
  auto context = kDoubling.context().value();
  const std::array<float, 2> x{1, 2};
  const std::array<std::uint32_t, 1> dims{2};
  ASSERT_TRUE(context.set_input(0, {ElementType::f32, dims, std::as_bytes(std::span(x))}));
  ASSERT_TRUE(context.compute());
  std::array<std::byte, 7> buffer{};
  const auto got = context.get_output(0, buffer);
  ASSERT_FALSE(got);
  EXPECT_THAT(got.error().message, HasSubstr("takes 8 bytes, the buffer has 7"));
}

TEST_F(NativeNn, an_observer_sees_what_the_engine_gets) {
  struct Observer : inference::TensorObserver {
    void on_input(std::string_view graph, std::uint32_t index, const TensorView& tensor) override {
      seen.push_back(std::string(graph) + " " + std::to_string(index) + " " +
                     std::to_string(tensor.dims[0]) + " " + std::to_string(tensor.data.size()));
    }
    std::vector<std::string> seen;
  } observer;
  const inference::GraphScope scope{graphs_, &observer};
  ASSERT_TRUE(doubled({1, 2}));
  EXPECT_EQ(observer.seen, std::vector<std::string>{"doubling 0 2 8"});
}

TEST_F(NativeNn, a_requested_stop_cancels_the_inference) {
  const inference::GraphTable endless{
      {"doubling", engine_->load_onnx(inference::testing::endless_model()).value()}};
  std::stop_source source;
  source.request_stop();
  const inference::GraphScope scope{endless, nullptr, source.get_token()};
  EXPECT_EQ(doubled({1}).error().code, Errc::cancelled);
}

}  // namespace
}  // namespace aloft::nn
