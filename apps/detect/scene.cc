#include "scene.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include <opencv2/imgproc.hpp>

namespace detect {
namespace {

constexpr int kWidth = 768;
constexpr int kHeight = 576;
constexpr std::size_t kWalkers = 9;

// A figure on its way through the picture: position in pixels, speed in pixels a frame.
struct Walker {
  double x = 0;
  double feet = 0;  // y of the feet; also how near, hence how tall
  double speed = 0;
  cv::Scalar coat;
  cv::Scalar trousers;
};

class Scene final : public FrameSource {
 public:
  Scene() : street_(kHeight, kWidth, CV_8UC3) {
    // mt19937's sequence is fixed by the standard; the distributions' is not, so numbers are made
    // by hand.
    std::mt19937 random(7);
    const auto between = [&random](double low, double high) {
      return low + (high - low) * static_cast<double>(random()) /
                       static_cast<double>(std::mt19937::max());
    };
    for (int y = 0; y < kHeight; ++y) {
      const double shade = 90 + 80.0 * y / kHeight;
      for (int x = 0; x < kWidth; ++x) {
        const auto noise = static_cast<double>(random() % 13) - 6;
        const auto grey = cv::saturate_cast<std::uint8_t>(shade + noise);
        street_.at<cv::Vec3b>(y, x) = {grey, grey, cv::saturate_cast<std::uint8_t>(grey + 6)};
      }
    }
    for (std::size_t i = 0; i < kWalkers; ++i) {
      const double direction = random() % 2 == 0 ? 1 : -1;
      walkers_.push_back({.x = between(0, kWidth),
                          .feet = between(220, kHeight - 20),
                          .speed = direction * between(1.0, 3.5),
                          .coat = {between(20, 230), between(20, 230), between(20, 230)},
                          .trousers = {between(10, 90), between(10, 90), between(10, 90)}});
    }
  }

  aloft::Result<cv::Mat> next() override {
    cv::Mat frame = street_.clone();
    for (Walker& walker : walkers_) {
      draw(frame, walker);
      const double margin = 40;
      walker.x += walker.speed;
      if (walker.x < -margin) walker.x = kWidth + margin;
      if (walker.x > kWidth + margin) walker.x = -margin;
    }
    ++position_;
    return frame;
  }
  std::uint64_t length() const override { return 0; }
  double frames_per_second() const override { return 10; }
  cv::Size size() const override { return {kWidth, kHeight}; }

 private:
  void draw(cv::Mat& frame, const Walker& walker) const {
    const double height = 40 + 110 * (walker.feet - 200) / (kHeight - 200);
    const double stride =
        0.12 * height * std::sin(static_cast<double>(position_) * 0.5 + walker.feet);
    const auto at = [](double x, double y) {
      return cv::Point(static_cast<int>(std::lround(x)), static_cast<int>(std::lround(y)));
    };
    const int limb = std::max(2, static_cast<int>(height * 0.09));
    const double hip = walker.feet - 0.47 * height;
    cv::line(frame, at(walker.x, hip), at(walker.x - stride, walker.feet), walker.trousers, limb,
             cv::LINE_AA);
    cv::line(frame, at(walker.x, hip), at(walker.x + stride, walker.feet), walker.trousers, limb,
             cv::LINE_AA);
    cv::ellipse(frame, at(walker.x, hip - 0.2 * height),
                cv::Size(static_cast<int>(0.14 * height), static_cast<int>(0.24 * height)), 0, 0,
                360, walker.coat, cv::FILLED, cv::LINE_AA);
    cv::circle(frame, at(walker.x, walker.feet - 0.92 * height), static_cast<int>(0.08 * height),
               cv::Scalar(120, 150, 190), cv::FILLED, cv::LINE_AA);
  }

  cv::Mat street_;
  std::vector<Walker> walkers_;
  std::uint64_t position_ = 0;
};

}  // namespace

std::unique_ptr<FrameSource> make_scene() { return std::make_unique<Scene>(); }

}  // namespace detect
