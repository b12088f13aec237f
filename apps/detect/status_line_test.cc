#include "status_line.h"

#include <gtest/gtest.h>

#include "summary.h"

namespace detect {
namespace {

FrameRow row(std::uint64_t frame, aloft::Place place) {
  FrameRow made;
  made.frame = frame;
  made.place = place;
  made.fps = 10.44;
  made.ue_cpu_percent = 2.4;
  made.detections = 3;
  return made;
}

TEST(StatusLine, says_how_far_where_and_how_fast) {
  EXPECT_EQ(StatusLine::text(row(119, aloft::Place::edge), 600),
            "frame 120/600  at the edge  10.4 frames/s  3 objects  UE CPU 2 %");
}

TEST(StatusLine, a_run_without_end_has_no_total_and_a_sensor_shows) {
  FrameRow warm = row(0, aloft::Place::here);
  warm.ue_temperature_c = 57.5;
  warm.detections = 1;
  EXPECT_EQ(StatusLine::text(warm, 0),
            "frame 1  on the device  10.4 frames/s  1 object  UE CPU 2 %  57.5 C");
}

TEST(StatusLine, outside_a_terminal_each_hop_is_a_line_and_messages_stand_between) {
  ::testing::internal::CaptureStderr();
  {
    StatusLine status(100);
    status.progress(row(0, aloft::Place::here));
    status.progress(row(1, aloft::Place::here));
    status.message("the edge went away");
    status.progress(row(2, aloft::Place::edge));
    status.progress(row(3, aloft::Place::edge));
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "frame 1/100  on the device  10.4 frames/s  3 objects  UE CPU 2 %\n"
            "the edge went away\n"
            "frame 3/100  at the edge  10.4 frames/s  3 objects  UE CPU 2 %\n");
}

TEST(Summary, tells_both_places_and_what_the_hold_does) {
  Report report;
  report.device_cpu_limit_percent = 30;
  report.run.frames = 600;
  report.run.local.emplace().fps = 2.5;
  report.run.remote.emplace().fps = 10;
  report.verify.emplace().frames = 600;
  const std::string text = summary(report, "out");
  EXPECT_NE(text.find("4.00 times as fast, the device being held to 30 % of a core"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("verified 600 frames: 0 frames and 0 tensors differ"), std::string::npos)
      << text;
}

}  // namespace
}  // namespace detect
