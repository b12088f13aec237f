#include "function/codec_chooser.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <random>

#include <gtest/gtest.h>

namespace aloft::function {
namespace {

using namespace std::chrono_literals;
using CheckAt = CodecChooser::CheckAt;

constexpr std::uint64_t kRawBytes = 1'327'104;  // 768 x 576, three channels
constexpr double kMostLoss = 0.03;

// A camera, a link and an edge, in time that is made up.
class Scene {
 public:
  double bits_per_second = 10e6;
  std::chrono::nanoseconds round_trip = 1ms;
  std::chrono::nanoseconds encode = 1ms;
  std::chrono::nanoseconds decode = 1ms;
  double detail = 0.02;
  // What results lose with each quality.
  std::function<double(int)> loss = [](int) { return 0.0; };
  CheckAt check_at = CheckAt::edge;

  explicit Scene(CodecChooser& chooser) : chooser_(chooser) {}

  // The seconds that so many calls take, each with 60 ms at the edge.
  double run(int calls) {
    double seconds = 0;
    for (int i = 0; i < calls; ++i) seconds += call();
    return seconds;
  }

  ImageCoding last;
  int checks = 0;
  double checked_bytes = 0;
  double lost = 0;                      // over all calls
  std::map<int, int> calls_by_quality;  // raw: 101

 private:
  [[nodiscard]] double coded_bytes(int quality) const {
    return static_cast<double>(kRawBytes) * std::min(1.0, detail * std::exp((quality - 50) / 25.0));
  }
  CodecChooser::Sent sent(const ImageCoding& coding) const {
    CodecChooser::Sent made;
    const bool raw = coding.format == ImageFormat::raw;
    made.bytes = raw ? kRawBytes : static_cast<std::uint64_t>(coded_bytes(coding.quality));
    made.on_the_way = round_trip + std::chrono::nanoseconds(static_cast<std::int64_t>(
                                       static_cast<double>(made.bytes) * 8e9 / bits_per_second));
    made.round_trip = round_trip;
    if (!raw) made.images = {coding, kRawBytes, made.bytes, encode, decode};
    return made;
  }
  double call() {
    last = chooser_.choose(kRawBytes);
    ++calls_by_quality[last.format == ImageFormat::raw ? 101 : last.quality];
    if (last.format == ImageFormat::jpeg) lost += loss(last.quality);
    const auto other = chooser_.check(now_, last, kRawBytes, check_at);
    const CodecChooser::Sent went = sent(last);
    auto took = went.on_the_way + 60ms;
    if (last.format == ImageFormat::jpeg) took += encode + decode;
    chooser_.sent(went);
    now_ += took;
    if (other) {
      ++checks;
      const bool is_raw = other->format == ImageFormat::raw;
      if (check_at == CheckAt::edge) checked_bytes += static_cast<double>(sent(*other).bytes);
      const int quality = is_raw ? last.quality : other->quality;
      chooser_.checked(quality, loss(quality));
    }
    return std::chrono::duration<double>(took).count();
  }

  CodecChooser& chooser_;
  CodecChooser::Time now_ = CodecChooser::Time() + 1h;
};

CodecChooser::Rules rules() { return {.most_loss = kMostLoss, .check_share = 0.1}; }

TEST(CodecChooser, a_slow_link_gets_jpeg_from_the_first_call_on) {
  CodecChooser chooser(rules());
  Scene scene(chooser);
  const double seconds = scene.run(100);
  EXPECT_EQ(scene.calls_by_quality[101], 0);
  EXPECT_LT(seconds, 100 * (0.06 + 8.0 * kRawBytes / 10e6) / 4);
  EXPECT_NEAR(chooser.bytes_per_second(), 10e6 / 8, 10e6 / 80);
}

TEST(CodecChooser, a_link_that_is_faster_than_encoding_gets_images_as_they_are) {
  CodecChooser chooser(rules());
  Scene scene(chooser);
  scene.bits_per_second = 20e9;
  scene.round_trip = 100us;
  scene.run(100);
  EXPECT_EQ(scene.last, ImageCoding());
  EXPECT_GT(scene.calls_by_quality[101], 80);
}

TEST(CodecChooser, it_follows_a_link_that_becomes_slower_and_faster_again) {
  CodecChooser chooser(rules());
  Scene scene(chooser);
  scene.bits_per_second = 20e9;
  scene.round_trip = 100us;
  scene.run(50);
  EXPECT_EQ(scene.last.format, ImageFormat::raw);
  scene.bits_per_second = 10e6;
  scene.run(20);
  EXPECT_EQ(scene.last.format, ImageFormat::jpeg);
  scene.bits_per_second = 20e9;
  scene.run(100);
  EXPECT_EQ(scene.last.format, ImageFormat::raw);
}

TEST(CodecChooser, an_encoder_that_is_too_slow_is_not_used) {
  CodecChooser chooser(rules());
  Scene scene(chooser);
  scene.encode = 2s;
  scene.run(20);
  EXPECT_EQ(scene.last.format, ImageFormat::raw);
}

TEST(CodecChooser, quality_goes_down_only_as_far_as_checks_have_found_nothing_lost) {
  CodecChooser chooser(rules());
  Scene scene(chooser);
  scene.check_at = CheckAt::here;
  scene.run(10);
  EXPECT_EQ(scene.last.quality, 90);  // nothing is known yet of worse ones
  scene.run(2000);
  EXPECT_EQ(scene.last.quality, 50);
}

TEST(CodecChooser, without_checks_quality_stays_where_it_begins) {
  CodecChooser chooser({.most_loss = kMostLoss, .check_share = 0});
  Scene scene(chooser);
  scene.run(2000);
  EXPECT_EQ(scene.calls_by_quality[90], 2000);
  EXPECT_LE(scene.checks, 1);
}

TEST(CodecChooser, a_quality_that_loses_too_much_is_not_stayed_with) {
  CodecChooser chooser(rules());
  Scene scene(chooser);
  scene.check_at = CheckAt::here;
  scene.loss = [](int quality) { return quality < 80 ? 0.2 : 0.0; };
  scene.run(5000);
  const double mean = scene.lost / 5000;
  EXPECT_LT(mean, kMostLoss);
  EXPECT_GT(scene.calls_by_quality[80], 2500);
}

TEST(CodecChooser, where_every_quality_loses_too_much_images_go_as_they_are) {
  CodecChooser chooser(rules());
  Scene scene(chooser);
  scene.check_at = CheckAt::here;
  scene.loss = [](int) { return 0.3; };
  scene.run(1000);
  EXPECT_EQ(scene.last.format, ImageFormat::raw);
  EXPECT_LT(scene.lost / 1000, kMostLoss);
}

TEST(CodecChooser, a_scene_that_changes_is_answered_by_a_better_quality_and_by_a_worse_one_again) {
  CodecChooser chooser(rules());
  Scene scene(chooser);
  scene.check_at = CheckAt::here;
  scene.run(2000);
  EXPECT_EQ(scene.last.quality, 50);
  scene.loss = [](int quality) { return quality < 95 ? 0.25 : 0.005; };
  scene.lost = 0;
  scene.run(200);
  EXPECT_GE(scene.last.quality, 90);
  scene.run(1000);
  EXPECT_LT(scene.lost / 1200, kMostLoss);
  scene.loss = [](int) { return 0.0; };
  scene.run(4000);
  EXPECT_LE(scene.last.quality, 70);
}

TEST(CodecChooser, what_images_took_in_another_scene_does_not_stand_in_the_way) {
  CodecChooser chooser(rules());
  Scene scene(chooser);
  scene.check_at = CheckAt::here;
  scene.run(2000);
  scene.detail = 0.15;
  scene.loss = [](int quality) { return quality < 90 ? 0.25 : 0.0; };
  scene.run(1000);
  EXPECT_GE(scene.last.quality, 85);
  scene.detail = 0.02;
  scene.loss = [](int) { return 0.0; };
  scene.run(4000);
  EXPECT_LE(scene.last.quality, 70);
}

TEST(CodecChooser, a_loss_that_varies_from_call_to_call_is_kept_on_average) {
  for (const unsigned seed : {1U, 2U, 3U}) {
    CodecChooser chooser(rules());
    Scene scene(chooser);
    scene.check_at = CheckAt::here;
    std::mt19937 random(seed);
    // One of five objects is not seen, now and then; the oftener the worse the quality.
    scene.loss = [&](int quality) {
      return std::bernoulli_distribution((95 - quality) * 0.006)(random) ? 0.2 : 0.0;
    };
    scene.run(10'000);
    EXPECT_LT(scene.lost / 10'000, kMostLoss) << seed;
    EXPECT_LT(scene.calls_by_quality[101], 1000) << seed;
  }
}

TEST(CodecChooser, checks_take_no_more_than_their_share_of_calls_and_of_the_link) {
  CodecChooser chooser(rules());
  Scene scene(chooser);
  const double seconds = scene.run(1000);
  EXPECT_GT(scene.checks, 2);
  EXPECT_LE(scene.checked_bytes, 0.1 * seconds * scene.bits_per_second / 8 + 2 * kRawBytes);

  CodecChooser fast_chooser(rules());
  Scene fast(fast_chooser);
  fast.bits_per_second = 500e6;
  fast.run(1000);
  EXPECT_GT(fast.checks, 50);
  EXPECT_LE(fast.checks, 101);
}

TEST(CodecChooser, raw_images_on_a_slow_link_are_checked_against_encoded_ones) {
  CodecChooser chooser(rules());
  Scene scene(chooser);
  scene.loss = [](int) { return 0.5; };
  scene.run(300);
  EXPECT_EQ(scene.last.format, ImageFormat::raw);
  scene.loss = [](int) { return 0.0; };
  scene.run(500);
  EXPECT_EQ(scene.last.format, ImageFormat::jpeg);
}

TEST(CodecChooser, a_loss_that_is_no_number_says_nothing) {
  CodecChooser chooser(rules());
  const double before = chooser.expected_loss(90);
  chooser.checked(90, std::nan(""));
  EXPECT_EQ(chooser.expected_loss(90), before);
  chooser.checked(90, -3);
  EXPECT_LT(chooser.expected_loss(90), before);
  chooser.checked(42, 1);  // not a quality that is chosen
}

}  // namespace
}  // namespace aloft::function
