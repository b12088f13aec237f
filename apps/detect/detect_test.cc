// detect_object against straightforward reference computations: the letterbox against
// double-precision resampling, the decoding and suppression against a network made for the test
// whose answer is known. Runs natively and in place.
#include "detect.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "inference/engine.h"
#include "inference/graph_table.h"

namespace detect {
namespace {

using aloft::Result;
using aloft::nn::TensorView;

constexpr std::size_t kAnchors = 8400;
constexpr std::size_t kOutput = 84 * kAnchors;
constexpr int kSide = 640;

// A network that keeps the input it was given and answers what the test wants.
class ScriptedExecution final : public aloft::inference::Execution {
 public:
  ScriptedExecution(std::vector<float>& seen, const std::vector<float>& answer)
      : seen_(seen), answer_(answer) {}

  Result<void> set_input(std::uint32_t, const TensorView& tensor) override {
    const auto* values = reinterpret_cast<const float*>(tensor.data.data());
    seen_.assign(values, values + tensor.data.size() / sizeof(float));
    return {};
  }
  void compute(aloft::inference::Completion done) override { done({}); }
  void cancel() override {}
  Result<TensorView> output(std::uint32_t) const override {
    static constexpr std::uint32_t kDims[] = {1, 84, 8400};
    return TensorView{.type = aloft::nn::ElementType::f32,
                      .dims = kDims,
                      .data = std::as_bytes(std::span(answer_))};
  }

 private:
  std::vector<float>& seen_;
  const std::vector<float>& answer_;
};

class ScriptedGraph final : public aloft::inference::Graph {
 public:
  const std::vector<aloft::inference::TensorInfo>& inputs() const override { return none_; }
  const std::vector<aloft::inference::TensorInfo>& outputs() const override { return none_; }
  Result<std::unique_ptr<aloft::inference::Execution>> make_execution() override {
    return std::make_unique<ScriptedExecution>(seen, answer);
  }

  std::vector<float> seen;
  std::vector<float> answer = std::vector<float>(kOutput);

 private:
  std::vector<aloft::inference::TensorInfo> none_;
};

class DetectObject : public ::testing::Test {
 protected:
  // Puts a box (in the network's pixels) with one class score at an anchor.
  void put(std::size_t anchor, float x, float y, float w, float h, std::size_t class_id,
           float score) {
    const float values[] = {x, y, w, h};
    for (std::size_t i = 0; i < 4; ++i) graph_->answer[i * kAnchors + anchor] = values[i];
    graph_->answer[(4 + class_id) * kAnchors + anchor] = score;
  }

  std::vector<Detection> run(const aloft::Image& frame) {
    aloft::inference::GraphTable table;
    table.set("detector", graph_);
    const aloft::inference::GraphScope scope(table);
    return detect_object(frame);
  }

  std::shared_ptr<ScriptedGraph> graph_ = std::make_shared<ScriptedGraph>();
};

aloft::Image noise(std::uint32_t width, std::uint32_t height, aloft::PixelFormat format) {
  aloft::Image image(width, height, format);
  std::mt19937 random(width * 31 + height);
  for (std::uint8_t& byte : image.mutable_pixels()) byte = static_cast<std::uint8_t>(random());
  return image;
}

// Bilinear resampling with aligned pixel centres, in double precision.
double sample(const aloft::Image& image, double x, double y, std::uint32_t offset) {
  const auto at = [&](int column, int row) {
    const int c = std::clamp(column, 0, static_cast<int>(image.width()) - 1);
    const int r = std::clamp(row, 0, static_cast<int>(image.height()) - 1);
    return static_cast<double>(
        image.pixels()[static_cast<std::size_t>(r) * image.stride() +
                       static_cast<std::size_t>(c) * aloft::channels(image.format()) + offset]);
  };
  x = std::max(x, 0.0);
  y = std::max(y, 0.0);
  const int column = static_cast<int>(std::floor(x));
  const int row = static_cast<int>(std::floor(y));
  const double fx = x - column;
  const double fy = y - row;
  return (at(column, row) * (1 - fx) + at(column + 1, row) * fx) * (1 - fy) +
         (at(column, row + 1) * (1 - fx) + at(column + 1, row + 1) * fx) * fy;
}

struct FrameShape {
  std::uint32_t width, height;
  std::uint32_t scaled_width, scaled_height;
};

class Letterboxing : public DetectObject, public ::testing::WithParamInterface<FrameShape> {};

TEST_P(Letterboxing, agrees_with_double_precision_resampling_and_pads_with_grey) {
  const FrameShape shape = GetParam();
  const aloft::Image frame = noise(shape.width, shape.height, aloft::PixelFormat::bgr8);
  run(frame);
  ASSERT_EQ(graph_->seen.size(), 3U * kSide * kSide);
  const int left = (kSide - static_cast<int>(shape.scaled_width)) / 2;
  const int top = (kSide - static_cast<int>(shape.scaled_height)) / 2;
  double worst = 0;
  for (int plane = 0; plane < 3; ++plane) {
    for (int y = 0; y < kSide; ++y) {
      for (int x = 0; x < kSide; ++x) {
        const int sx = x - left;
        const int sy = y - top;
        const bool inside = sx >= 0 && sy >= 0 && sx < static_cast<int>(shape.scaled_width) &&
                            sy < static_cast<int>(shape.scaled_height);
        const double expected =
            inside ? sample(frame, (sx + 0.5) * shape.width / shape.scaled_width - 0.5,
                            (sy + 0.5) * shape.height / shape.scaled_height - 0.5,
                            2 - static_cast<std::uint32_t>(plane)) /
                         255
                   : 114.0 / 255;
        const double got = graph_->seen[static_cast<std::size_t>((plane * kSide + y) * kSide + x)];
        worst = std::max(worst, std::abs(got - expected));
      }
    }
  }
  EXPECT_LT(worst, 2.1 / 255);  // positions are rounded to 1/256 of a pixel, twice, and noise is
                                // the steepest picture
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Letterboxing,
    ::testing::Values(FrameShape{768, 576, 640, 480}, FrameShape{640, 640, 640, 640},
                      FrameShape{100, 300, 213, 640}, FrameShape{1920, 1080, 640, 360},
                      FrameShape{1, 1, 640, 640}, FrameShape{3, 2000, 1, 640}));

TEST_F(DetectObject, an_empty_frame_has_no_objects) { EXPECT_TRUE(run(aloft::Image{}).empty()); }

TEST_F(DetectObject, boxes_are_told_in_pixels_of_the_frame) {
  put(17, 320, 320, 64, 32, 5, 0.75F);  // the network's centre
  const auto found = run(noise(768, 576, aloft::PixelFormat::bgr8));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].class_id, 5);
  EXPECT_EQ(found[0].score, 0.75F);
  EXPECT_NEAR(found[0].box.x, 384 - 38.4, 1e-3);
  EXPECT_NEAR(found[0].box.y, 288 - 19.2, 1e-3);
  EXPECT_NEAR(found[0].box.width, 76.8, 1e-3);
  EXPECT_NEAR(found[0].box.height, 38.4, 1e-3);
}

TEST_F(DetectObject, boxes_are_cut_at_the_edges_of_the_frame) {
  put(0, 5, 85, 100, 100, 0, 0.9F);
  const auto found = run(noise(768, 576, aloft::PixelFormat::bgr8));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].box.x, 0);
  EXPECT_EQ(found[0].box.y, 0);
}

TEST_F(DetectObject, a_weaker_box_of_the_same_class_goes_and_one_of_another_class_stays) {
  put(10, 300, 300, 100, 100, 2, 0.6F);
  put(11, 305, 300, 100, 100, 2, 0.8F);
  put(12, 302, 300, 100, 100, 3, 0.5F);
  put(13, 500, 300, 100, 100, 2, 0.4F);
  put(14, 200, 300, 100, 100, 2, 0.2F);  // below the threshold
  const auto found = run(noise(640, 640, aloft::PixelFormat::bgr8));
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].score, 0.8F);
  EXPECT_EQ(found[1].class_id, 3);
  EXPECT_EQ(found[2].score, 0.4F);
}

TEST_F(DetectObject,
       equal_scores_come_in_the_order_of_their_anchors_and_the_lowest_class_wins_a_tie) {
  put(400, 100, 300, 20, 20, 7, 0.5F);
  put(30, 500, 300, 20, 20, 9, 0.5F);
  put(30, 500, 300, 20, 20, 4, 0.5F);
  const auto found = run(noise(640, 640, aloft::PixelFormat::bgr8));
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].class_id, 4);
  EXPECT_EQ(found[1].class_id, 7);
}

TEST_F(DetectObject, scores_that_are_not_numbers_are_no_objects) {
  put(1, 100, 100, 20, 20, 0, std::nanf(""));
  EXPECT_TRUE(run(noise(640, 640, aloft::PixelFormat::bgr8)).empty());
}

TEST_F(DetectObject, channels_in_other_orders_give_the_same_tensor) {
  const aloft::Image bgr = noise(64, 48, aloft::PixelFormat::bgr8);
  aloft::Image rgba(64, 48, aloft::PixelFormat::rgba8);
  for (std::size_t i = 0; i < 64U * 48U; ++i) {
    for (std::size_t c = 0; c < 3; ++c)
      rgba.mutable_pixels()[4 * i + c] = bgr.pixels()[3 * i + 2 - c];
  }
  run(bgr);
  const std::vector<float> first = graph_->seen;
  run(rgba);
  EXPECT_EQ(first, graph_->seen);
}

}  // namespace
}  // namespace detect
