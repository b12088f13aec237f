#include "comparison.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace detect {
namespace {

Detection detection(float score) { return {.class_id = 1, .score = score, .box = {1, 2, 3, 4}}; }

TEST(Comparison, equal_detections_have_the_same_bits_and_the_order_counts) {
  const std::vector<Detection> ab{detection(0.9F), detection(0.8F)};
  const std::vector<Detection> ba{detection(0.8F), detection(0.9F)};
  EXPECT_TRUE(same_bits(ab, ab));
  EXPECT_FALSE(same_bits(ab, ba));
  EXPECT_FALSE(same_bits(ab, std::vector{detection(0.9F)}));
}

TEST(Comparison, one_bit_of_one_field_is_a_difference) {
  const std::vector<Detection> one{detection(0.5F)};
  std::vector<Detection> other = one;
  other[0].box.height = std::nextafter(4.0F, 5.0F);
  EXPECT_FALSE(same_bits(one, other));
  other = one;
  other[0].class_id = 2;
  EXPECT_FALSE(same_bits(one, other));
}

TEST(Comparison, two_zeros_differ_and_a_nan_equals_itself) {
  EXPECT_FALSE(same_bits(std::vector{detection(0.0F)}, std::vector{detection(-0.0F)}));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(same_bits(std::vector{detection(nan)}, std::vector{detection(nan)}));
}

TEST(Comparison, tensors_that_differ_or_are_missing_are_counted) {
  const std::vector<std::string> two{"a", "b"};
  EXPECT_EQ(differing_tensors(two, two), 0U);
  EXPECT_EQ(differing_tensors(two, std::vector<std::string>{"a", "c"}), 1U);
  EXPECT_EQ(differing_tensors(two, std::vector<std::string>{"x"}), 2U);
  EXPECT_EQ(differing_tensors({}, two), 2U);
}

}  // namespace
}  // namespace detect
