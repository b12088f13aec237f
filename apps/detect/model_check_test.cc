#include "model_check.h"

#include <filesystem>
#include <fstream>
#include <span>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inference/testing/onnx_writer.h"
#include "support/temp_dir.h"
#include "test_paths.h"

namespace detect {
namespace {

using aloft::Errc;
using aloft::inference::testing::OnnxType;
using aloft::inference::testing::Proto;
using ::testing::HasSubstr;
namespace onnx = aloft::inference::testing;

class ModelCheck : public ::testing::Test {
 protected:
  // Writes `model` to a file and checks that.
  aloft::Error error_of(const std::vector<std::byte>& model) {
    const auto file = folder_ / "given.onnx";
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(model.data()),
               static_cast<std::streamsize>(model.size()));
    const auto checked = check_model(file);
    if (checked) return {Errc::internal, "the model passed"};
    EXPECT_THAT(checked.error().message, HasSubstr("given.onnx"));
    return checked.error();
  }

  aloft::testing::TempDir folder_;
};

TEST_F(ModelCheck, the_projects_own_detector_passes) {
  const auto model = aloft::testing::source_dir() / "models/pedestrian.onnx";
  const auto checked = check_model(model);
  EXPECT_TRUE(checked) << checked.error().message;
}

TEST_F(ModelCheck, a_missing_file_is_named) {
  const auto checked = check_model(folder_ / "none.onnx");
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, Errc::not_found);
  EXPECT_THAT(checked.error().message, HasSubstr("none.onnx"));
}

TEST_F(ModelCheck, a_folder_is_no_model) {
  EXPECT_EQ(check_model(folder_.path()).error().code, Errc::not_found);
}

TEST_F(ModelCheck, other_shapes_are_refused_and_said) {
  const aloft::Error error = error_of(onnx::doubling_model({1, 3, 416, 416}));
  EXPECT_EQ(error.code, Errc::invalid_argument);
  EXPECT_THAT(error.message, HasSubstr("takes f32 1x3x416x416 and gives f32 1x3x416x416"));
  EXPECT_THAT(error.message, HasSubstr("needed are f32 1x3x640x640 and f32 1x84x8400"));
}

TEST_F(ModelCheck, a_truncated_model_is_corrupt) {
  auto model = onnx::doubling_model({1, 3, 640, 640});
  model.resize(model.size() - 20);
  const aloft::Error error = error_of(model);
  EXPECT_EQ(error.code, Errc::corrupt);
  EXPECT_THAT(error.message, HasSubstr("truncated"));
}

TEST_F(ModelCheck, weights_outside_the_file_are_refused) {
  const Proto weights = Proto{}.number(1, 4).number(2, 1).text(8, "w").number(14, 1);
  const aloft::Error error =
      error_of(onnx::model(onnx::graph("g", {{.op = "Add", .inputs = {"x", "w"}, .outputs = {"y"}}},
                                       {onnx::value_info("x", OnnxType::f32, {4})},
                                       {onnx::value_info("y", OnnxType::f32, {4})}, {weights})));
  EXPECT_EQ(error.code, Errc::refused);
  EXPECT_THAT(error.message, HasSubstr("external data"));
}

}  // namespace
}  // namespace detect
