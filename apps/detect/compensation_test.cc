#include "compensation.h"

#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "report.h"
#include "testing/street.h"

namespace detect {
namespace {

using detect::testing::person;
using detect::testing::Street;

// What the application does with K frames under way: the result of a frame comes when the newest
// is K - 1 frames ahead.
class Viewer {
 public:
  explicit Viewer(std::uint64_t in_flight) : in_flight_(in_flight) {}

  std::vector<Track> result(const std::vector<Detection>& seen) {
    const std::uint64_t frame = next_++;
    const std::vector<Track> tracks = tracker_.update(seen);
    compensation_.judge(frame, tracks, seen);
    return compensation_.show(tracks, frame, frame + in_flight_ - 1);
  }
  [[nodiscard]] CompensationReport report() const { return compensation_.report(); }

 private:
  const std::uint64_t in_flight_;
  std::uint64_t next_ = 0;
  Tracker tracker_;
  Compensation compensation_;
};

TEST(IntersectionOverUnion, is_that_of_the_areas) {
  const Box box{.x = 10, .y = 10, .width = 10, .height = 20};
  EXPECT_DOUBLE_EQ(intersection_over_union(box, box), 1);
  EXPECT_DOUBLE_EQ(intersection_over_union(box, {.x = 15, .y = 10, .width = 10, .height = 20}),
                   1.0 / 3);
  EXPECT_DOUBLE_EQ(intersection_over_union(box, {.x = 10, .y = 20, .width = 10, .height = 20}),
                   1.0 / 3);
  EXPECT_DOUBLE_EQ(intersection_over_union(box, {.x = 30, .y = 40, .width = 10, .height = 20}), 0);
  EXPECT_DOUBLE_EQ(intersection_over_union({}, {}), 0);
}

TEST(Carried, is_where_the_velocity_leads_with_the_size_it_had) {
  const Track track{.id = 3,
                    .detection = 1,
                    .class_id = 0,
                    .score = 0.5F,
                    .box = {.x = 100, .y = 50, .width = 30, .height = 70},
                    .velocity = {.x = 2.5F, .y = -1}};
  const Track later = carried(track, 4);
  EXPECT_EQ(later.box, (Box{.x = 110, .y = 46, .width = 30, .height = 70}));
  EXPECT_EQ(later.id, 3U);
  EXPECT_EQ(carried(track, 0), track);
}

TEST(Compensation, of_a_steady_walk_leaves_next_to_no_error) {
  Viewer viewer(4);
  for (int frame = 0; frame < 120; ++frame) {
    const float x = 50 + 5 * static_cast<float>(frame);
    const auto shown = viewer.result({person(x)});
    // Three frames on.
    if (frame >= 30) {
      ASSERT_EQ(shown.size(), 1U);
      EXPECT_NEAR(shown[0].box.x, x + 15, 1) << "frame " << frame;
    }
  }
  const CompensationReport report = viewer.report();
  EXPECT_EQ(report.frames, 117U);
  EXPECT_EQ(report.boxes, 115U);  // an identity begins in the third frame
  EXPECT_DOUBLE_EQ(report.age_frames, 3);
  EXPECT_NEAR(report.as_they_were.centre_pixels, 15, 1);
  EXPECT_LT(report.carried.centre_pixels, 2);
  EXPECT_LT(report.carried.not_covered, report.as_they_were.not_covered / 4);
}

TEST(Compensation, of_who_stands_still_costs_nothing) {
  Viewer viewer(6);
  for (int frame = 0; frame < 60; ++frame) static_cast<void>(viewer.result({person(100)}));
  EXPECT_LT(viewer.report().carried.centre_pixels, 0.01);
  EXPECT_LT(viewer.report().as_they_were.centre_pixels, 0.01);
}

TEST(Compensation, helps_in_a_street_where_boxes_tremble_and_are_missed) {
  for (const std::uint32_t seed : {1U, 2U, 3U}) {
    Street street(seed);
    Viewer viewer(5);
    for (int frame = 0; frame < 500; ++frame) static_cast<void>(viewer.result(street.next()));
    const CompensationReport report = viewer.report();
    EXPECT_GT(report.boxes, 1000U);
    EXPECT_LT(report.carried.centre_pixels, 0.7 * report.as_they_were.centre_pixels) << seed;
    EXPECT_LT(report.carried.not_covered, 0.8 * report.as_they_were.not_covered) << seed;
  }
}

TEST(Compensation, has_nothing_to_do_where_each_frame_has_its_own_result) {
  Viewer viewer(1);
  for (int frame = 0; frame < 20; ++frame) {
    const float x = 50 + 5 * static_cast<float>(frame);
    const auto shown = viewer.result({person(x)});
    if (frame >= 10) {
      ASSERT_EQ(shown.size(), 1U);
      EXPECT_NEAR(shown[0].box.x, x, 1);
    }
  }
  EXPECT_EQ(viewer.report().frames, 0U);
}

TEST(Compensation, who_has_left_by_then_is_not_judged) {
  Compensation compensation;
  const Track track{.id = 1, .box = person(10).box};
  static_cast<void>(compensation.show({track}, 0, 3));
  compensation.judge(3, {}, {});
  EXPECT_EQ(compensation.report().frames, 1U);
  EXPECT_EQ(compensation.report().boxes, 0U);
}

TEST(Compensation, is_in_the_report_where_it_was_asked_for) {
  Report report;
  EXPECT_FALSE(nlohmann::json::parse(to_json(report)).contains("compensation"));
  report.compensation = {.frames = 10,
                         .boxes = 40,
                         .age_frames = 3,
                         .carried = {.not_covered = 0.1, .centre_pixels = 2},
                         .as_they_were = {.not_covered = 0.3, .centre_pixels = 8}};
  const auto json = nlohmann::json::parse(to_json(report)).at("compensation");
  EXPECT_EQ(json.at("boxes"), 40);
  EXPECT_DOUBLE_EQ(json.at("age_frames"), 3);
  EXPECT_DOUBLE_EQ(json.at("box_error").at("centre_pixels"), 2);
  EXPECT_DOUBLE_EQ(json.at("box_error_without").at("one_minus_iou"), 0.3);
}

}  // namespace
}  // namespace detect
