#include "source.h"

#include <array>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

#include <opencv2/videoio.hpp>

#include "scene.h"

namespace detect {
namespace {

using aloft::Errc;
using aloft::fail;

// Frames a container may announce beyond those it holds: encoders round durations.
constexpr std::uint64_t kLengthSlack = 3;

// An AVI says its own size in its first bytes, so that a file cut short is known before its first
// frame is shown. Answers the announced size in bytes, or nothing for other containers. (RIFF:
// "RIFF", u32 size of what follows.)
std::optional<std::uint64_t> announced_avi_size(const std::filesystem::path& path) {
  std::array<unsigned char, 12> head{};
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(head.data()), head.size())) return std::nullopt;
  if (std::memcmp(head.data(), "RIFF", 4) != 0 || std::memcmp(head.data() + 8, "AVI ", 4) != 0)
    return std::nullopt;
  std::uint64_t size = 0;
  for (std::size_t i = 0; i < 4; ++i) size |= std::uint64_t{head[4 + i]} << (8 * i);
  return size + 8;
}

class VideoFile final : public FrameSource {
 public:
  static aloft::Result<std::unique_ptr<FrameSource>> open(const std::string& path) {
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored))
      return fail(Errc::not_found, "no such video: " + path);
    if (!std::filesystem::is_regular_file(path, ignored)) {
      return fail(Errc::invalid_argument, "not a video file: " + path);
    }
    if (const auto announced = announced_avi_size(path)) {
      const auto actual = std::filesystem::file_size(path, ignored);
      if (actual < *announced) {
        return fail(Errc::corrupt, path + " is truncated: its header announces " +
                                       std::to_string(*announced) + " bytes, the file has " +
                                       std::to_string(actual) + "; get a complete copy");
      }
    }
    auto source = std::make_unique<VideoFile>(path);
    if (!source->capture_.isOpened()) {
      return fail(Errc::corrupt, "cannot read " + path +
                                     " as a video: damaged, or a format that OpenCV cannot decode");
    }
    auto first = source->next();
    if (!first) return std::unexpected(first.error());
    source->size_ = first->size();
    if (auto rewound = source->rewind(); !rewound) return std::unexpected(rewound.error());
    return source;
  }

  explicit VideoFile(std::string path) : path_(std::move(path)) {
    capture_.open(path_, cv::CAP_FFMPEG);
    if (!capture_.isOpened()) return;
    const double announced = capture_.get(cv::CAP_PROP_FRAME_COUNT);
    length_ = announced > 0 ? static_cast<std::uint64_t>(announced) : 0;
    const double rate = capture_.get(cv::CAP_PROP_FPS);
    if (rate > 0) rate_ = rate;
  }

  aloft::Result<cv::Mat> next() override {
    cv::Mat frame;
    if (!read(frame)) {
      if (position_ + kLengthSlack < length_ || position_ == 0) {
        return fail(Errc::corrupt, path_ + " breaks off after " + std::to_string(position_) +
                                       " of " + std::to_string(length_) +
                                       " frames; get a complete copy");
      }
      length_ = position_;
      if (auto rewound = rewind(); !rewound) return std::unexpected(rewound.error());
      if (!read(frame)) return fail(Errc::corrupt, "cannot read " + path_ + " a second time");
    }
    ++position_;
    return frame;
  }

  std::uint64_t length() const override { return length_; }
  double frames_per_second() const override { return rate_; }
  cv::Size size() const override { return size_; }

 private:
  bool read(cv::Mat& frame) {
    return capture_.read(frame) && frame.type() == CV_8UC3 && !frame.empty() &&
           frame.isContinuous();
  }

  // Reopens: seeking to frame 0 is inexact in some containers.
  aloft::Result<void> rewind() {
    capture_.open(path_, cv::CAP_FFMPEG);
    position_ = 0;
    if (!capture_.isOpened()) return fail(Errc::corrupt, "cannot open " + path_ + " again");
    return {};
  }

  std::string path_;
  cv::VideoCapture capture_;
  cv::Size size_;
  std::uint64_t length_ = 0;
  std::uint64_t position_ = 0;
  double rate_ = 25;
};

class Camera final : public FrameSource {
 public:
  static aloft::Result<std::unique_ptr<FrameSource>> open(const std::string& number) {
    int index = -1;
    const char* end = number.data() + number.size();
    const auto parsed = std::from_chars(number.data(), end, index);
    if (parsed.ec != std::errc{} || parsed.ptr != end || index < 0) {
      return fail(Errc::invalid_argument,
                  "not a camera: camera:" + number + " (camera:0 is the first)");
    }
    auto source = std::make_unique<Camera>();
    if (!source->capture_.open(index, cv::CAP_V4L2)) {
      return fail(Errc::not_found,
                  "cannot open camera " + number + ": is one attached, and may this user read it?");
    }
    auto first = source->next();
    if (!first) return std::unexpected(first.error());
    source->size_ = first->size();
    return source;
  }

  aloft::Result<cv::Mat> next() override {
    cv::Mat frame;
    if (!capture_.read(frame) || frame.type() != CV_8UC3)
      return fail(Errc::unreachable, "the camera stopped");
    return frame;
  }
  std::uint64_t length() const override { return 0; }
  double frames_per_second() const override {
    const double rate = capture_.get(cv::CAP_PROP_FPS);
    return rate > 0 ? rate : 25;
  }
  cv::Size size() const override { return size_; }

 private:
  cv::VideoCapture capture_;
  cv::Size size_;
};

}  // namespace

aloft::Result<std::unique_ptr<FrameSource>> open_source(const std::string& spec) {
  constexpr std::string_view kCamera = "camera:";
  if (spec == "scene") return make_scene();
  if (spec.starts_with(kCamera)) return Camera::open(spec.substr(kCamera.size()));
  return VideoFile::open(spec);
}

}  // namespace detect
