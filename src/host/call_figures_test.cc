#include "host/call_figures.h"

#include <gtest/gtest.h>

namespace aloft::host {
namespace {

using namespace std::chrono_literals;

Digest digest_of(unsigned char number) {
  Digest digest;
  digest.bytes.fill(std::byte{number});
  return digest;
}

TEST(CallFigures, what_was_read_is_not_read_again) {
  CallFigures figures;
  const auto counter = figures.of("detect", digest_of(1));
  counter->note(3ms, CallOutcome::done);
  counter->note(30ms, CallOutcome::failed);
  const auto first = figures.take();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].name, "detect");
  EXPECT_EQ(first[0].counts.calls(), 2U);
  EXPECT_EQ(first[0].counts.errors, 1U);
  EXPECT_EQ(first[0].counts.micros, 33'000U);
  EXPECT_TRUE(figures.take().empty());
}

TEST(CallFigures, a_module_that_is_closed_is_counted_to_its_end) {
  CallFigures figures(1);
  figures.of("first", digest_of(1))->note(1ms, CallOutcome::done);
  EXPECT_EQ(figures.take().size(), 1U);
  const auto next = figures.of("next", digest_of(2));
  next->note(1ms, CallOutcome::done);
  ASSERT_EQ(figures.take().size(), 1U) << "it has the room of the first one, which is gone";
}

TEST(CallFigures, too_many_modules_are_one) {
  CallFigures figures(2);
  std::vector<std::shared_ptr<CallCounter>> held;
  for (unsigned char i = 0; i < 5; ++i) {
    held.push_back(figures.of("m", digest_of(i)));
    held.back()->note(1ms, CallOutcome::done);
  }
  const auto all = figures.take();
  ASSERT_EQ(all.size(), 3U);
  std::uint64_t others = 0;
  for (const auto& module : all) others += module.name == "other" ? module.counts.calls() : 0;
  EXPECT_EQ(others, 3U);
}

TEST(CallTimes, quantiles_lie_within_the_bounds_of_their_bucket) {
  CallCounter counter;
  for (int i = 0; i < 98; ++i) counter.note(4ms, CallOutcome::done);
  counter.note(60ms, CallOutcome::done);
  counter.note(60ms, CallOutcome::done);
  const CallTimes counts = counter.take();
  EXPECT_GT(counts.quantile(0.5), 3500us);
  EXPECT_LE(counts.quantile(0.5), 5000us);
  EXPECT_GT(counts.quantile(0.99), 50ms);
  EXPECT_LE(counts.quantile(0.99), 75ms);
  EXPECT_EQ(CallTimes{}.quantile(0.5), 0us);
  CallCounter slow;
  slow.note(1h, CallOutcome::done);
  EXPECT_EQ(slow.take().quantile(0.5), CallTimes::kBounds.back());
}

}  // namespace
}  // namespace aloft::host
