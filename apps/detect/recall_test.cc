#include "recall.h"

#include <vector>

#include <gtest/gtest.h>

namespace detect {
namespace {

using Detections = std::vector<Detection>;

Detection at(float x, std::int32_t class_id = 0) {
  return {.class_id = class_id, .score = 0.5F, .box = {x, 0, 10, 10}};
}

TEST(Recall, what_is_seen_in_nearly_the_same_place_is_found) {
  EXPECT_DOUBLE_EQ(find_again({at(0), at(100)}, {at(101), at(1)}).recall(), 1);
  EXPECT_DOUBLE_EQ(find_again({at(0), at(100)}, {at(6), at(100)}).recall(), 0.5);
}

TEST(Recall, another_class_is_another_object) {
  EXPECT_DOUBLE_EQ(find_again({at(0, 1)}, {at(0, 2)}).recall(), 0);
}

TEST(Recall, one_that_is_seen_is_found_once) {
  const Found found = find_again({at(0), at(1)}, {at(0)});
  EXPECT_EQ(found.found, 1U);
  EXPECT_EQ(found.of, 2U);
}

TEST(Recall, what_is_seen_beyond_what_was_expected_costs_nothing) {
  EXPECT_DOUBLE_EQ(missed({at(0), at(50)}, {at(0)}), 0);
  EXPECT_DOUBLE_EQ(missed({at(0)}, {at(0), at(50)}), 0.5);
  EXPECT_DOUBLE_EQ(missed({}, {}), 0);
  EXPECT_DOUBLE_EQ(missed({}, {at(0)}), 1);
}

}  // namespace
}  // namespace detect
