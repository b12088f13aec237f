#include "channel/liveness.h"

#include <gtest/gtest.h>

namespace aloft::channel {
namespace {

using namespace std::chrono_literals;
using Verdict = Liveness::Verdict;

class LivenessTest : public ::testing::Test {
 protected:
  static Liveness::Time at(std::chrono::milliseconds since_start) {
    return Liveness::Time{} + 1h + since_start;
  }
  // A timer that comes when it is due.
  Verdict check(std::chrono::milliseconds now) { return liveness.check(at(now), at(now)); }

  Liveness liveness{50ms, 200ms, at(0ms)};
};

TEST_F(LivenessTest, a_heartbeat_is_due_50_ms_after_the_last_byte_was_sent) {
  EXPECT_EQ(liveness.ping_due(), at(50ms));
  liveness.sent(at(30ms));
  EXPECT_EQ(liveness.ping_due(), at(80ms));
}

TEST_F(LivenessTest, a_peer_is_dead_after_200_ms_of_silence_and_not_before) {
  liveness.heard(at(10ms));
  for (auto now = 50ms; now < 210ms; now += 10ms) {
    EXPECT_EQ(check(now), Verdict::alive) << now.count();
    liveness.sent(at(now));
  }
  EXPECT_EQ(liveness.check_due(), at(210ms));
  EXPECT_EQ(check(210ms), Verdict::peer_is_dead);
  EXPECT_EQ(liveness.last_heard(), at(10ms));
}

TEST_F(LivenessTest, a_look_is_due_so_soon_after_the_last_one_that_a_sleep_shows) {
  EXPECT_EQ(liveness.check_due(), at(50ms));
  EXPECT_EQ(check(50ms), Verdict::alive);
  EXPECT_EQ(liveness.check_due(), at(100ms));
}

TEST_F(LivenessTest, a_sleep_before_the_first_look_shows) {
  EXPECT_EQ(liveness.check(at(1500ms), liveness.check_due()), Verdict::alive);
}

TEST_F(LivenessTest, what_a_scheduler_does_is_no_sleep) {
  for (auto due = 50ms; due < 200ms; due += 50ms)
    EXPECT_EQ(liveness.check(at(due + 9ms), at(due)), Verdict::alive);
  EXPECT_EQ(liveness.check(at(200ms), at(200ms)), Verdict::peer_is_dead);
}

TEST_F(LivenessTest, a_peer_is_not_blamed_for_time_in_which_this_end_did_not_run) {
  // Stopped at 20 ms, running again at 3 s: the timer of 50 ms comes 2950 ms late.
  EXPECT_EQ(liveness.check(at(3000ms), at(50ms)), Verdict::alive);
  EXPECT_EQ(check(3149ms), Verdict::alive);
  EXPECT_EQ(check(3150ms), Verdict::peer_is_dead);
}

TEST_F(LivenessTest, a_peer_that_was_heard_after_a_sleep_is_alive) {
  liveness.heard(at(3000ms));
  EXPECT_EQ(liveness.check(at(3000ms), at(50ms)), Verdict::alive);
  EXPECT_EQ(check(3199ms), Verdict::alive);
  // The sleep before the last byte extends nothing after it.
  EXPECT_EQ(check(3200ms), Verdict::peer_is_dead);
}

TEST_F(LivenessTest, an_end_that_is_always_late_still_notices_a_dead_peer) {
  auto now = 0ms;
  int checks = 0;
  for (Verdict verdict = Verdict::alive; verdict != Verdict::peer_is_dead; ++checks) {
    ASSERT_LT(checks, 20);
    const auto due = liveness.check_due();
    now = std::chrono::duration_cast<std::chrono::milliseconds>(due - at(0ms)) + 60ms;
    verdict = liveness.check(at(now), due);
  }
  EXPECT_LT(now, 600ms);
}

}  // namespace
}  // namespace aloft::channel
