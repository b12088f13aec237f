#include "channel/patience.h"

#include <gtest/gtest.h>

namespace aloft::channel {
namespace {

using namespace std::chrono_literals;

constexpr auto kMost = 50us;

TEST(PatienceTest, it_sleeps_at_once_until_a_wait_was_short) {
  Patience patience(kMost);
  EXPECT_EQ(patience.begin(), 0us);
  patience.end(20us);
  EXPECT_EQ(patience.begin(), kMost);
}

TEST(PatienceTest, a_wait_that_waking_up_made_long_is_worth_a_look) {
  Patience patience(kMost);
  EXPECT_EQ(patience.begin(), 0us);
  patience.end(90us);
  EXPECT_EQ(patience.begin(), kMost);
  patience.end(90us);
  EXPECT_EQ(patience.begin(), 0us);
}

TEST(PatienceTest, looks_in_vain_end_it_soon) {
  Patience patience(kMost);
  for (int i = 0; i < 1000; ++i) patience.end(10us);
  int looks = 0;
  while (patience.begin() != 0us) {
    patience.end(10ms);
    ASSERT_LT(++looks, 10);
  }
}

TEST(PatienceTest, what_is_idle_looks_rarely) {
  Patience patience(kMost);
  int looks = 0;
  for (int i = 0; i < 10'000; ++i) {
    if (patience.begin() != 0us) ++looks;
    patience.end(50ms);
  }
  EXPECT_GT(looks, 0);
  EXPECT_LT(looks, 200);
}

TEST(PatienceTest, without_time_it_never_looks) {
  Patience patience(0us);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(patience.begin(), 0us);
    patience.end(0us);
  }
}

}  // namespace
}  // namespace aloft::channel
