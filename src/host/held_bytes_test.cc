#include "host/held_bytes.h"

#include <gtest/gtest.h>

namespace aloft::host {
namespace {

TEST(HeldBytesTest, what_is_held_is_bounded_and_counts_as_long_as_it_lives) {
  HeldBytes held(100);
  auto first = held.take(60);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->size(), 60U);
  EXPECT_EQ(held.take(41), nullptr);
  auto second = held.take(40);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(held.held(), 100U);
  EXPECT_EQ(held.take(1), nullptr);
  EXPECT_NE(held.take(0), nullptr);
  first.reset();
  EXPECT_NE(held.take(60), nullptr);
  EXPECT_EQ(held.held(), 40U);
}

TEST(HeldBytesTest, a_size_that_nobody_has_is_refused_and_not_taken) {
  HeldBytes held(100);
  EXPECT_EQ(held.take(~0ULL), nullptr);
  EXPECT_EQ(held.held(), 0U);
}

TEST(HeldBytesTest, what_cannot_be_refused_is_counted_beyond_the_bound) {
  HeldBytes held(100);
  const auto result = held.take_all_the_same(150);
  EXPECT_EQ(result->size(), 150U);
  EXPECT_EQ(held.take(1), nullptr);
}

TEST(HeldBytesTest, bytes_may_outlive_their_count) {
  std::shared_ptr<channel::Bytes> bytes;
  {
    HeldBytes held(100);
    bytes = held.take(10);
  }
  EXPECT_EQ(bytes->size(), 10U);
}

}  // namespace
}  // namespace aloft::host
