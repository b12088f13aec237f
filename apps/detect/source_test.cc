#include "source.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/core.hpp>

#include "support/temp_dir.h"
#include "test_paths.h"

namespace detect {
namespace {

using ::testing::HasSubstr;

bool same(const cv::Mat& a, const cv::Mat& b) {
  return a.size() == b.size() && cv::norm(a, b, cv::NORM_INF) == 0;
}

class Source : public ::testing::Test {
 protected:
  std::string file(const char* name, const std::string& bytes) {
    const auto path = folder_ / name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path.string();
  }

  static std::string video_bytes() {
    std::ifstream in(aloft::testing::video(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  aloft::testing::TempDir folder_;
};

TEST_F(Source, the_generated_scene_moves_and_is_the_same_every_time) {
  const auto one = open_source("scene").value();
  const auto two = open_source("scene").value();
  const cv::Mat first = one->next().value();
  EXPECT_EQ(first.size(), one->size());
  EXPECT_TRUE(same(first, two->next().value()));
  EXPECT_FALSE(same(first, one->next().value()));
}

TEST_F(Source, a_video_is_read_to_its_end_and_starts_again) {
  const std::string path = aloft::testing::video().string();
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const auto source = open_source(path).value();
  EXPECT_EQ(source->size(), cv::Size(768, 576));
  ASSERT_EQ(source->length(), 795U);
  const cv::Mat first = source->next().value();
  for (std::uint64_t i = 1; i < source->length(); ++i) ASSERT_TRUE(source->next()) << "frame " << i;
  EXPECT_TRUE(same(first, source->next().value()));
}

TEST_F(Source, what_is_no_video_is_refused_with_its_name) {
  for (const std::string& spec :
       {(folder_ / "none.avi").string(), file("junk.avi", "not a video at all"),
        file("empty.mp4", ""), folder_.path().string()}) {
    const auto source = open_source(spec);
    ASSERT_FALSE(source) << spec;
    EXPECT_THAT(source.error().message, HasSubstr(spec));
  }
}

TEST_F(Source, a_truncated_video_is_refused_before_its_first_frame) {
  if (!std::filesystem::exists(aloft::testing::video()))
    GTEST_SKIP() << "no " << aloft::testing::video();
  const std::string whole = video_bytes();
  const auto source = open_source(file("half.avi", whole.substr(0, whole.size() / 2)));
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().code, aloft::Errc::corrupt);
  EXPECT_THAT(source.error().message, HasSubstr("truncated"));
}

TEST_F(Source, a_camera_has_a_number) {
  for (const char* spec : {"camera:", "camera:x", "camera:-1", "camera:1x"}) {
    const auto source = open_source(spec);
    ASSERT_FALSE(source) << spec;
    EXPECT_EQ(source.error().code, aloft::Errc::invalid_argument);
  }
}

}  // namespace
}  // namespace detect
