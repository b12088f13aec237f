#include "kalman.h"

#include <gtest/gtest.h>

namespace detect {
namespace {

TEST(Axis, predicts_and_corrects_as_by_hand) {
  Axis axis{
      .value = 10, .velocity = 2, .value_variance = 4, .covariance = 1, .velocity_variance = 3};
  // P' = F P F^T + Q with F = (1 1; 0 1), Q = diag(0.5, 0.25):
  // (4 + 1 + 1 + 3 + 0.5, 1 + 3; 4, 3 + 0.25)
  predict(axis, 0.5, 0.25);
  EXPECT_EQ(axis.value, 12);
  EXPECT_EQ(axis.velocity, 2);
  EXPECT_EQ(axis.value_variance, 9.5);
  EXPECT_EQ(axis.covariance, 4);
  EXPECT_EQ(axis.velocity_variance, 3.25);
  // S = 9.5 + 6.5 = 16, K = (9.5, 4) / 16, off by 8.
  EXPECT_EQ(surprise(axis, 20, 6.5), 4);
  correct(axis, 20, 6.5);
  EXPECT_EQ(axis.value, 12 + 9.5 / 16 * 8);
  EXPECT_EQ(axis.velocity, 2 + 4.0 / 16 * 8);
  EXPECT_EQ(axis.value_variance, 9.5 - 9.5 / 16 * 9.5);
  EXPECT_EQ(axis.covariance, 4 - 9.5 / 16 * 4);
  EXPECT_EQ(axis.velocity_variance, 3.25 - 4.0 / 16 * 4);
}

TEST(Axis, learns_a_steady_velocity) {
  Axis axis{
      .value = 0, .velocity = 0, .value_variance = 4, .covariance = 0, .velocity_variance = 25};
  for (int frame = 1; frame <= 30; ++frame) {
    predict(axis, 0.01, 0.001);
    correct(axis, 3.0 * frame, 1);
  }
  EXPECT_NEAR(axis.value, 90, 0.1);
  EXPECT_NEAR(axis.velocity, 3, 0.02);
  EXPECT_GT(axis.value_variance, 0);
  EXPECT_LT(axis.value_variance, 1);
  // The covariance stays one: positive definite.
  EXPECT_GT(axis.value_variance * axis.velocity_variance, axis.covariance * axis.covariance);
}

TEST(BoxFilter, begins_as_the_box_it_saw) {
  const Box box{.x = 10, .y = 20, .width = 30, .height = 60};
  const BoxFilter filter = filter_of(box);
  EXPECT_EQ(box_of(filter), box);
  EXPECT_EQ(filter.axes[0].value, 25);
  EXPECT_EQ(filter.axes[1].value, 50);
  EXPECT_EQ(surprise(filter, box), 0);
}

TEST(BoxFilter, is_less_surprised_the_longer_it_has_not_seen) {
  BoxFilter filter = filter_of({.x = 100, .y = 100, .width = 20, .height = 40});
  const Box elsewhere{.x = 130, .y = 100, .width = 20, .height = 40};
  double before = surprise(filter, elsewhere);
  for (int frame = 0; frame < 10; ++frame) {
    predict(filter);
    const double now = surprise(filter, elsewhere);
    EXPECT_LT(now, before);
    before = now;
  }
}

TEST(BoxFilter, of_a_shrinking_box_keeps_a_size) {
  BoxFilter filter = filter_of({.x = 0, .y = 0, .width = 40, .height = 80});
  for (float height = 80; height > 20; height -= 10) {
    predict(filter);
    correct(filter, {.x = 0, .y = 0, .width = height / 2, .height = height});
  }
  for (int frame = 0; frame < 20; ++frame) predict(filter);
  EXPECT_GE(box_of(filter).width, 1);
  EXPECT_GE(box_of(filter).height, 1);
  hold_size(filter);
  const float held = box_of(filter).height;
  predict(filter);
  EXPECT_EQ(box_of(filter).height, held);
}

}  // namespace
}  // namespace detect
