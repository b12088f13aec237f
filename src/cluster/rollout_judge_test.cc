#include "cluster/rollout_judge.h"

#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "cluster/rollout_versions.h"

namespace aloft::cluster {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using Source = RolloutJudge::Source;

// Sums of so many calls that took about this long.
CallSums calls(std::uint64_t count, std::uint64_t failures, std::chrono::microseconds took = 1ms) {
  CallSums sums{.calls = count, .failures = failures};
  for (std::size_t i = 0; i < kLatencyBuckets; ++i) {
    if (latency_bound(i) < took) continue;
    sums.latency[i] = count;
    break;
  }
  return sums;
}

v1::RolloutLimits limits(double error_rate, std::uint64_t p99_us = 0) {
  v1::RolloutLimits limits;
  limits.set_max_error_rate(error_rate);
  limits.set_max_p99_us(p99_us);
  limits.set_window_ms(10'000);
  return limits;
}

TEST(RolloutJudge, few_calls_say_nothing_and_more_say_that_too_many_failed) {
  const RolloutJudge::Clock::time_point start{};
  RolloutJudge judge;
  judge.hear("h1", calls(6, 3), Source::new_to_all, start);
  EXPECT_FALSE(RolloutJudge::verdict(judge.look(limits(0.1), start), limits(0.1)));
  judge.hear("h2", calls(30, 3), Source::new_to_all, start + 1s);
  const auto bad = RolloutJudge::verdict(judge.look(limits(0.1), start + 1s), limits(0.1));
  ASSERT_TRUE(bad);
  EXPECT_THAT(*bad, HasSubstr("6 of 36 calls failed, 16.67 %"));
  EXPECT_FALSE(RolloutJudge::verdict(judge.look(limits(0.2), start + 1s), limits(0.2)));
  EXPECT_FALSE(RolloutJudge::verdict(judge.look(limits(-1), start + 1s), limits(-1)));
}

TEST(RolloutJudge, what_is_older_than_the_window_is_forgotten) {
  const RolloutJudge::Clock::time_point start{};
  RolloutJudge judge;
  judge.hear("h1", calls(100, 50), Source::new_to_all, start);
  judge.hear("h1", calls(200, 50), Source::new_to_all, start + 9s);
  EXPECT_EQ(judge.look(limits(0.1), start + 9s).calls, 200U);
  const CallSums& later = judge.look(limits(0.1), start + 11s);
  EXPECT_EQ(later.calls, 100U);
  EXPECT_EQ(later.failures, 0U);
  EXPECT_FALSE(RolloutJudge::verdict(later, limits(0)));
}

TEST(RolloutJudge, a_host_that_begins_anew_and_one_that_had_told_before_are_counted_once) {
  const RolloutJudge::Clock::time_point start{};
  RolloutJudge judge;
  // This judge is new, and these are not its calls.
  judge.hear("h1", calls(1000, 900), Source::known_before, start);
  EXPECT_EQ(judge.look(limits(0), start).calls, 0U);
  judge.hear("h1", calls(1010, 900), Source::new_to_all, start + 1s);
  EXPECT_EQ(judge.look(limits(0), start + 1s).calls, 10U);
  judge.hear("h1", calls(5, 1), Source::new_to_all, start + 2s);
  EXPECT_EQ(judge.look(limits(0), start + 2s).calls, 15U);
  EXPECT_EQ(judge.look(limits(0), start + 2s).failures, 1U);
}

TEST(RolloutJudge, slow_calls_are_too_slow_only_when_they_are_surely_slower_than_the_limit) {
  CallSums window = calls(990, 0, 2ms);
  window.add(calls(10, 0, 50ms));
  ASSERT_TRUE(window.p99());
  EXPECT_GE(*window.p99(), 2ms);
  EXPECT_LT(*window.p99(), 3ms);
  EXPECT_FALSE(RolloutJudge::verdict(window, limits(0, 2'000)));
  window.add(calls(10, 0, 50ms));
  EXPECT_GE(*window.p99(), 50ms);
  const auto bad = RolloutJudge::verdict(window, limits(0, 20'000));
  ASSERT_TRUE(bad);
  EXPECT_THAT(*bad, HasSubstr("20.0 ms are allowed"));
  EXPECT_FALSE(calls(99, 0).p99()) << "one of them would be more than one of a hundred";
}

TEST(RolloutJudge, one_session_that_it_could_not_be_opened_for_is_enough) {
  EXPECT_TRUE(RolloutJudge::verdict({.refusals = 1}, limits(1)));
}

TEST(RolloutVersions, a_higher_percentage_only_adds_sessions_and_takes_about_its_share) {
  std::set<std::uint32_t> parts;
  int below_half = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::string text = std::to_string(i);
    const std::string id = sha256(std::as_bytes(std::span(text))).hex().substr(0, 32);
    const std::uint32_t part = rollout_part(id);
    ASSERT_LT(part, 10'000U);
    EXPECT_EQ(part, rollout_part(id));
    below_half += part < 5'000 ? 1 : 0;
    parts.insert(part);
  }
  EXPECT_GT(parts.size(), 1500U);
  EXPECT_NEAR(below_half, 1000, 150);
  // Managers of other builds have to come to the same.
  EXPECT_EQ(rollout_part("00000000000000000000000000000000"),
            rollout_part("00000000000000000000000000000000"));
}

TEST(RolloutVersions, who_asked_for_the_new_version_itself_keeps_it) {
  records::RolloutRecord rollout;
  rollout.set_from("sha256:b");
  rollout.set_to("sha256:c");
  rollout.add_replaced("sha256:a");
  rollout.set_percent_hundredths(5'000);
  const auto version = [&](v1::Rollout::State state, std::uint32_t part, const std::string& asked) {
    rollout.set_state(state);
    return version_for(rollout, part, asked);
  };
  for (const std::string asked : {"sha256:a", "sha256:b"}) {
    EXPECT_EQ(version(v1::Rollout::RUNNING, 4'999, asked), "sha256:c");
    EXPECT_EQ(version(v1::Rollout::RUNNING, 5'000, asked), "sha256:b");
    EXPECT_EQ(version(v1::Rollout::FINISHED, 9'999, asked), "sha256:c");
    EXPECT_EQ(version(v1::Rollout::ABORTED, 0, asked), "sha256:b");
    EXPECT_EQ(version(v1::Rollout::TAKEN_BACK, 0, asked), "sha256:b");
  }
  EXPECT_EQ(version(v1::Rollout::TAKEN_BACK, 0, "sha256:c"), "sha256:c");
  EXPECT_EQ(version(v1::Rollout::RUNNING, 0, "sha256:other"), "sha256:other");
}

}  // namespace
}  // namespace aloft::cluster
