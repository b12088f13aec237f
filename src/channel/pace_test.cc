#include "channel/pace.h"

#include <gtest/gtest.h>

namespace aloft::channel {
namespace {

using namespace std::chrono_literals;

// A link that acknowledges `rate` bytes a second, always with something to write.
class PaceTest : public ::testing::Test {
 protected:
  void run(std::uint64_t rate, std::chrono::milliseconds time,
           std::chrono::milliseconds step = 20ms) {
    for (auto end = now + time; now < end;) {
      if (pace.due(now)) pace.waits(now, reading());
      now += step;
      acknowledged += rate * static_cast<std::uint64_t>(step.count()) / 1000;
    }
    if (pace.due(now)) pace.waits(now, reading());
  }
  [[nodiscard]] Pace::Reading reading(std::size_t on_their_way = 0,
                                      std::size_t not_sent = 0) const {
    return {acknowledged, on_their_way, not_sent, round_trip};
  }

  Pace pace;
  Pace::Time now{1h};
  std::uint64_t acknowledged = 12345;
  std::chrono::milliseconds round_trip{10};
};

TEST_F(PaceTest, a_link_that_is_not_known_is_not_held_back) {
  EXPECT_FALSE(pace.slow());
  pace.waits(now, reading());
  EXPECT_FALSE(pace.slow());
}

TEST_F(PaceTest, a_slow_link_has_little_more_on_its_way_than_it_holds) {
  run(6'250'000, 100ms);  // 50 Mbit/s
  ASSERT_TRUE(pace.slow());
  EXPECT_EQ(pace.rate(), 6'250'000U);
  EXPECT_EQ(pace.room(reading(0, 0)).fragment, 18'750U);
  EXPECT_EQ(pace.room(reading(0, 0)).bytes, 50'000U);        // not more than 8 ms unsent
  EXPECT_EQ(pace.room(reading(100'000, 0)).bytes, 12'500U);  // 18 ms are 112,500 bytes
  EXPECT_EQ(pace.room(reading(112'000, 0)).bytes, 0U);       // hardly worth it
  EXPECT_EQ(pace.room(reading(60'000, 45'000)).bytes, 5'000U);
}

TEST_F(PaceTest, a_fast_link_is_not_held_back) {
  run(1'000'000'000, 100ms);
  EXPECT_FALSE(pace.slow());
}

TEST_F(PaceTest, time_without_anything_to_write_does_not_count) {
  run(6'250'000, 100ms);
  pace.idle();
  now += 10s;
  run(6'250'000, 100ms);
  EXPECT_EQ(pace.rate(), 6'250'000U);
}

TEST_F(PaceTest, a_link_that_changes_is_followed) {
  run(6'250'000, 400ms);
  run(25'000'000, 40ms);
  EXPECT_EQ(pace.rate(), 25'000'000U);
  run(1'250'000, 400ms);
  EXPECT_EQ(pace.rate(), 1'250'000U);
}

TEST_F(PaceTest, a_sample_is_no_shorter_than_a_round_trip) {
  round_trip = 150ms;
  pace.waits(now, reading());
  EXPECT_FALSE(pace.due(now + 149ms));
  EXPECT_TRUE(pace.due(now + 150ms));
}

TEST_F(PaceTest, a_link_with_nothing_on_its_way_always_takes_a_fragment) {
  run(10'000, 400ms);
  EXPECT_GT(pace.room(reading()).bytes, 0U);
}

}  // namespace
}  // namespace aloft::channel
