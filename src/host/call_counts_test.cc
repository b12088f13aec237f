#include "host/call_counts.h"

#include <cmath>

#include <gtest/gtest.h>

namespace aloft::host {
namespace {

using namespace std::chrono_literals;

TEST(CallCounts, a_call_is_in_the_first_class_that_it_fits_into) {
  // As proto/aloft/v1/host.proto says, which managers go by.
  const auto bound = [](std::size_t bucket) {
    return std::chrono::nanoseconds(
        static_cast<std::int64_t>(16'000 * std::exp2(static_cast<double>(bucket) / 4)));
  };
  EXPECT_EQ(latency_bucket(0ns), 0U);
  EXPECT_EQ(latency_bucket(16us), 0U);
  EXPECT_EQ(latency_bucket(17us), 1U);
  for (std::size_t i = 1; i + 1 < kLatencyBuckets; ++i) {
    EXPECT_EQ(latency_bucket(bound(i) - 5ns), i);
    EXPECT_EQ(latency_bucket(bound(i) + 5ns), i + 1);
  }
  EXPECT_EQ(latency_bucket(24h), kLatencyBuckets - 1);
}

TEST(CallCounts, what_the_caller_or_the_machine_did_is_not_counted_as_the_modules_failure) {
  CallCounts counts;
  const auto counter = counts.of(Digest{});
  counter->called(std::nullopt, 1ms);
  counter->called(Errc::trapped, 1ms);
  counter->called(Errc::cancelled, 1ms);
  counter->refused(Errc::overloaded);
  counter->refused(Errc::trapped);
  const auto taken = counts.take();
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0].calls, 2U);
  EXPECT_EQ(taken[0].failures, 1U);
  EXPECT_EQ(taken[0].refusals, 1U);
  EXPECT_EQ(taken[0].latency[latency_bucket(1ms)], 2U);
  EXPECT_TRUE(counts.take().empty()) << "taken once";

  counts.give_back(taken[0]);
  counter->called(std::nullopt, 1ms);
  EXPECT_EQ(counts.take()[0].calls, 3U);
}

}  // namespace
}  // namespace aloft::host
