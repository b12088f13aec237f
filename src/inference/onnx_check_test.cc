#include "inference/onnx_check.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "inference/testing/onnx_writer.h"

namespace aloft::inference {
namespace {

using testing::Dims;
using testing::OnnxType;
using testing::Proto;

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto view = std::as_bytes(std::span(text));
  return {view.begin(), view.end()};
}

// A tensor whose data is in another file.
Proto external_tensor() {
  const Proto location = Proto{}.text(1, "location").text(2, "/etc/passwd");
  return Proto{}.number(1, 4).number(2, 1).text(8, "weights").message(13, location).number(14, 1);
}

TEST(OnnxCheck, a_whole_model_passes) {
  EXPECT_TRUE(check_onnx(testing::doubling_model({1, 3})));
  EXPECT_TRUE(check_onnx(testing::endless_model()));
}

TEST(OnnxCheck, a_model_cut_anywhere_is_corrupt) {
  const auto model = testing::endless_model();
  for (std::size_t size = 0; size < model.size(); ++size) {
    const auto checked = check_onnx(std::span(model).first(size));
    ASSERT_FALSE(checked) << "cut to " << size << " of " << model.size() << " bytes";
    EXPECT_EQ(checked.error().code, Errc::corrupt);
  }
}

TEST(OnnxCheck, what_is_no_model_is_corrupt_and_the_message_says_so) {
  for (const std::string_view junk :
       {"", "<!DOCTYPE html><html><body>404</body></html>", "version https://git-lfs",
        "\x89PNG\r\n\x1a\n", "ORTM0123456789"}) {
    const auto checked = check_onnx(bytes_of(junk));
    ASSERT_FALSE(checked) << junk;
    EXPECT_EQ(checked.error().code, Errc::corrupt);
    EXPECT_NE(checked.error().message.find("ONNX"), std::string::npos) << checked.error().message;
  }
}

TEST(OnnxCheck, random_bytes_never_get_past_their_end) {
  std::mt19937 random(1);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::byte> junk(random() % 64);
    std::ranges::generate(junk, [&] { return static_cast<std::byte>(random()); });
    (void)check_onnx(junk);  // the sanitizer build watches
  }
}

TEST(OnnxCheck, external_data_is_refused_by_the_name_of_the_tensor) {
  const auto model = testing::model(
      testing::graph("g", {{.op = "Add", .inputs = {"x", "weights"}, .outputs = {"y"}}},
                     {testing::value_info("x", OnnxType::f32, {4})},
                     {testing::value_info("y", OnnxType::f32, {4})}, {external_tensor()}));
  const auto checked = check_onnx(model);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, Errc::refused);
  EXPECT_NE(checked.error().message.find("'weights'"), std::string::npos)
      << checked.error().message;
  EXPECT_NE(checked.error().message.find("external data"), std::string::npos)
      << checked.error().message;
}

TEST(OnnxCheck, external_data_is_found_in_a_subgraph_and_in_an_attribute) {
  const Proto constant = Proto{}.text(1, "value").message(5, external_tensor()).number(20, 4);
  const Proto body = testing::graph(
      "body", {{.op = "Constant", .inputs = {}, .outputs = {"c"}, .attributes = {constant}}}, {},
      {testing::value_info("c", OnnxType::f32, {4})});
  const auto model = testing::model(
      testing::graph("g",
                     {{.op = "If",
                       .inputs = {"x"},
                       .outputs = {"y"},
                       .attributes = {testing::graph_attribute("then_branch", body)}}},
                     {}, {}));
  const auto checked = check_onnx(model);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, Errc::refused);
}

TEST(OnnxCheck, endless_nesting_is_corrupt_instead_of_a_stack_overflow) {
  Proto graph;
  for (int i = 0; i < 2000; ++i) {
    graph = Proto{}.message(1, Proto{}.message(5, testing::graph_attribute("body", graph)));
  }
  const auto checked = check_onnx(testing::model(graph));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, Errc::corrupt);
}

}  // namespace
}  // namespace aloft::inference
