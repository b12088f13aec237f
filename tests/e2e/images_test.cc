// Images on their way to an edge: a program, an edge in a process of its own, and a codec between.
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "probe.aloft.h"
#include "probe.h"
#include "support/edge_fixture.h"
#include "support/netns.h"
#include <aloft/runtime.h>

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

Image slope(std::uint32_t width, std::uint32_t height, PixelFormat format = PixelFormat::bgr8) {
  Image image(width, height, format);
  const std::size_t stride = image.stride();
  std::size_t i = 0;
  for (std::uint8_t& value : image.mutable_pixels())
    value = static_cast<std::uint8_t>(30 + i++ % stride * 180 / stride);
  return image;
}

double mean_difference(const Image& inverted, const Image& image) {
  double sum = 0;
  for (std::size_t i = 0; i < image.pixels().size(); ++i)
    sum += std::abs(255 - inverted.pixels()[i] - image.pixels()[i]);
  return sum / static_cast<double>(image.pixels().size());
}

class Images : public EdgeFixture {
 protected:
  void start_runtime(const ImageCodec& codec) {
    RuntimeOptions options;
    options.edges = {edge_->address()};
    options.policy = remote_policy();
    options.functions["probe::invert"].images = codec;
    options.on_call = [this](const CallRecord& record) {
      const std::lock_guard lock(mutex_);
      last_ = record;
    };
    auto made = Runtime::create(std::move(options));
    ASSERT_TRUE(made) << made.error().message;
    runtime_ = *std::move(made);
    bind(*runtime_);
    const auto ready = runtime_->wait_for_edge(10s);
    ASSERT_TRUE(ready) << ready.error().message << edge_->process().transcript();
  }
  [[nodiscard]] CallRecord last() {
    const std::lock_guard lock(mutex_);
    return last_;
  }

  std::mutex mutex_;
  CallRecord last_;
  std::unique_ptr<Runtime> runtime_;
};

TEST_F(Images, of_a_function_that_asks_for_it_go_as_jpeg_and_are_seen_with_the_same_layout) {
  start_runtime(ImageCodec::jpeg(90));
  for (const PixelFormat format : {PixelFormat::gray8, PixelFormat::bgr8, PixelFormat::rgb8}) {
    const Image image = slope(640, 480, format);
    const Image inverted = probe::invert(image);
    EXPECT_EQ(last().place, Place::edge);
    EXPECT_EQ(last().remote_error, std::nullopt);
    ASSERT_EQ(inverted.width(), 640U);
    ASSERT_EQ(inverted.height(), 480U);
    ASSERT_EQ(inverted.format(), format);
    EXPECT_LT(mean_difference(inverted, image), 3);
    const ImageCodingRecord images = last().images;
    EXPECT_EQ(images.coding, (ImageCoding{ImageFormat::jpeg, 90}));
    EXPECT_EQ(images.raw_bytes, image.pixels().size());
    EXPECT_LT(images.coded_bytes, images.raw_bytes / 4);
    EXPECT_GT(images.encode, 0ns);
    EXPECT_GT(images.decode, 0ns);
    EXPECT_LT(last().tx_bytes, images.coded_bytes + 1000);
  }
}

TEST_F(Images, of_all_other_functions_and_those_with_transparency_go_as_they_are) {
  start_runtime(ImageCodec::jpeg(50));
  const Image image = slope(640, 480);
  std::uint64_t sum = 0;
  for (const std::uint8_t value : image.pixels()) sum += value;
  EXPECT_EQ(probe::sum(image), sum);
  EXPECT_EQ(last().images.coding, ImageCoding());
  EXPECT_EQ(last().images.coded_bytes, 0U);
  EXPECT_GT(last().tx_bytes, image.pixels().size());

  const Image transparent = slope(320, 200, PixelFormat::bgra8);
  EXPECT_EQ(mean_difference(probe::invert(transparent), transparent), 0);
  EXPECT_EQ(last().images.coding, ImageCoding());
}

TEST_F(Images, of_an_asynchronous_call_go_encoded_as_well_and_may_be_larger_each_time) {
  start_runtime(ImageCodec::jpeg(80));
  for (const std::uint32_t width : {64U, 640U, 3000U}) {
    const Image image = slope(width, 400);
    auto call = probe::invert_async(image);
    const auto inverted = call.get();
    ASSERT_TRUE(inverted) << inverted.error().message;
    EXPECT_LT(mean_difference(*inverted, image), 4);
    EXPECT_EQ(call.record().images.coding.quality, 80);
  }
}

TEST_F(Images, of_a_call_that_runs_here_are_not_touched) {
  start_runtime(ImageCodec::jpeg(50));
  const Image image = slope(640, 480);
  const PlaceScope here(Place::here);
  EXPECT_EQ(mean_difference(probe::invert(image), image), 0);
  EXPECT_EQ(last().images.coding, ImageCoding());
}

// --- A link that is slow enough for a codec to pay

using Picked = std::vector<std::uint8_t>;

// The part of the pixels that are another by more than a little.
double changed_pixels(const Picked& with_codec, const Picked& raw) {
  constexpr int kLittle = 12;
  std::size_t changed = 0;
  for (std::size_t i = 0; i < raw.size(); ++i)
    changed += std::abs(with_codec[i] - raw[i]) > kLittle ? 1U : 0U;
  return static_cast<double>(changed) / static_cast<double>(raw.size());
}

// Grains of so many levels, in a picture of medium grey.
Image grains(std::uint32_t width, std::uint32_t height, std::uint32_t levels) {
  Image image(width, height, PixelFormat::gray8);
  std::uint32_t state = 1;
  for (std::uint8_t& value : image.mutable_pixels()) {
    state = state * 1664525U + 1013904223U;
    value = static_cast<std::uint8_t>(128 - levels / 2 + (state >> 16U) % levels);
  }
  return image;
}

class ImagesOverASlowLink : public ::testing::Test {
 protected:
  static constexpr double kMostLoss = 0.03;

  void SetUp() override {
    if (const auto missing = Network::what_is_missing()) GTEST_SKIP() << *missing;
    auto network = Network::make();
    ASSERT_TRUE(network) << network.error().message;
    network_.emplace(*std::move(network));
    for (const char* const host : {"device", "edge"}) {
      const auto added = network_->add_host(host);
      ASSERT_TRUE(added) << added.error().message;
      const auto shaped = network_->shape(host, {.bits_per_second = 10'000'000});
      ASSERT_TRUE(shaped) << shaped.error().message;
    }
    EdgeOptions options;
    options.cache = cache_.path();
    options.host = network_->address("edge");
    options.arguments = {"--insecure"};
    options.on = [this](std::vector<std::string> command) {
      return network_->command("edge", std::move(command));
    };
    auto edge = DemoEdge::start(options);
    ASSERT_TRUE(edge) << edge.error().message;
    edge_.emplace(*std::move(edge));
  }

  // On the device from here on: the runtime's threads are where the one that makes it is.
  void start_runtime(Place check_at) {
    const auto entered = network_->enter("device");
    ASSERT_TRUE(entered) << entered.error().message;
    RuntimeOptions options;
    options.edges = {edge_->address()};
    options.policy = remote_policy();
    options.max_in_flight = 1;
    ImageCodec codec = ImageCodec::automatic(changed_pixels, kMostLoss);
    codec.check_share = 1;
    codec.check_at = check_at;
    options.functions["probe::pick"].images = std::move(codec);
    auto made = Runtime::create(std::move(options));
    ASSERT_TRUE(made) << made.error().message;
    runtime_ = *std::move(made);
    bind(*runtime_);
    const auto ready = runtime_->wait_for_edge(20s);
    ASSERT_TRUE(ready) << ready.error().message << edge_->process().transcript();
  }

  struct Seen {
    ImageCoding coding;
    double loss = 0;
  };
  static Seen look(const Image& image) {
    auto call = probe::pick_async(image);
    const auto picked = call.get();
    EXPECT_TRUE(picked.has_value());
    if (!picked) return {};
    EXPECT_EQ(call.record().place, Place::edge);
    const PlaceScope here(Place::here);
    return {.coding = call.record().images.coding,
            .loss = changed_pixels(*picked, probe::pick(image))};
  }
  // Looks at the image until its codec is one that `wanted` takes; within so many calls.
  template <class Wanted>
  static ::testing::AssertionResult look_until(const Image& image, const Wanted& wanted) {
    constexpr int kCalls = 1000;
    Seen seen;
    for (int i = 0; i < kCalls; ++i) {
      seen = look(image);
      if (wanted(seen.coding)) return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure()
           << "after " << kCalls << " calls the quality is " << seen.coding.quality << " (0: raw)";
  }

  void expect_the_codec_follows_the_scene() {
    const Image smooth = grains(256, 256, 10);
    const Image rough = grains(256, 256, 256);
    EXPECT_TRUE(look_until(smooth, [](const ImageCoding& coding) {
      return coding.format == ImageFormat::jpeg && coding.quality <= 70;
    }));
    // Of noise, quality 70 changes a quarter of the pixels, 80 a tenth, 85 a thirtieth.
    const auto is_careful = [](const ImageCoding& coding) {
      return coding.format == ImageFormat::raw || coding.quality >= 85;
    };
    EXPECT_GT(look(rough).loss, 5 * kMostLoss);  // which has to be noticed
    EXPECT_TRUE(look_until(rough, is_careful));
    constexpr int kLooks = 50;
    double lost = 0;
    for (int i = 0; i < kLooks; ++i) lost += look(rough).loss / kLooks;
    EXPECT_LT(lost, 2 * kMostLoss);  // one quality too low is tried now and then
    EXPECT_TRUE(look_until(smooth, [&](const ImageCoding& coding) { return !is_careful(coding); }));
  }

  TempDir cache_;
  std::optional<Network> network_;
  std::optional<DemoEdge> edge_;
  std::unique_ptr<Runtime> runtime_;
};

TEST_F(ImagesOverASlowLink, get_another_codec_when_the_scene_changes_as_checks_at_the_edge_find) {
  start_runtime(Place::edge);
  expect_the_codec_follows_the_scene();
}

TEST_F(ImagesOverASlowLink, get_another_codec_when_the_scene_changes_as_checks_here_find) {
  start_runtime(Place::here);
  expect_the_codec_follows_the_scene();
}

TEST_F(ImagesOverASlowLink, do_not_keep_a_runtime_from_ending_while_a_check_is_under_way) {
  for (const Place check_at : {Place::edge, Place::here}) {
    start_runtime(check_at);
    const Image image = grains(1024, 1024, 256);
    for (int i = 0; i < 3; ++i) (void)look(image);
    const auto began = std::chrono::steady_clock::now();
    runtime_.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - began, 10s);
  }
}

}  // namespace
}  // namespace aloft::testing
