#include "ops/trace.h"

#include <gtest/gtest.h>

namespace aloft::ops {
namespace {

constexpr const char* kExample = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(Trace, passing_it_on_changes_the_step_alone) {
  const auto trace = Trace::parse(kExample);
  ASSERT_TRUE(trace);
  EXPECT_EQ(trace->id(), "4bf92f3577b34da6a3ce929d0e0e4736");
  const auto next = Trace::parse(trace->next_step());
  ASSERT_TRUE(next) << trace->next_step();
  EXPECT_EQ(next->id(), trace->id());
  EXPECT_NE(trace->next_step(), kExample);
  EXPECT_TRUE(trace->next_step().ends_with("-01"));
}

TEST(Trace, each_made_is_another_one) {
  const Trace trace = Trace::make();
  EXPECT_TRUE(Trace::parse(trace.next_step()));
  EXPECT_NE(trace.id(), Trace::make().id());
  EXPECT_EQ(Trace().next_step(), "") << "an unknown one is not passed on";
}

TEST(Trace, what_is_no_traceparent_is_refused) {
  const std::string good = kExample;
  EXPECT_FALSE(Trace::parse(""));
  EXPECT_FALSE(Trace::parse(good + "0"));
  EXPECT_FALSE(Trace::parse("01" + good.substr(2)));
  EXPECT_FALSE(Trace::parse("00-00000000000000000000000000000000-00f067aa0ba902b7-01"));
  EXPECT_FALSE(Trace::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"));
  EXPECT_FALSE(Trace::parse("00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
  for (const std::size_t at : {2U, 10U, 35U, 40U, 52U, 54U}) {
    std::string bad = good;
    bad[at] = '\n';
    EXPECT_FALSE(Trace::parse(bad)) << at;
  }
}

}  // namespace
}  // namespace aloft::ops
