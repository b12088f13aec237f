#include "function/call_plan.h"

#include <vector>

#include <gtest/gtest.h>

namespace aloft::function {
namespace {

using namespace std::chrono_literals;
using Kind = CallPlan::Step::Kind;
using Source = CallPlan::Told::Source;
using Step = CallPlan::Step;
using Time = CallPlan::Time;

const Time kStart{1h};
constexpr EdgeSet kNone = 0;
constexpr EdgeSet kBoth = 0b11;

std::vector<Step> all(const CallPlan::Steps& steps) { return {steps.begin(), steps.end()}; }
std::vector<Step> only(Kind kind, EdgeIndex edge = 0) { return {{kind, edge}}; }

class CallPlanTest : public ::testing::Test {
 protected:
  void begin_at(EdgeIndex edge) {
    plan_.emplace(rules_);
    ASSERT_EQ(all(plan_->begin_at(edge, kStart)), only(Kind::call_edge, edge));
  }
  std::vector<Step> failed(EdgeIndex edge, Errc why, EdgeSet ready, Begun begun = Begun::unknown,
                           CallPlan::Duration after = 1ms) {
    return all(plan_->edge_failed(edge, why, begun, ready, kStart + after));
  }
  std::vector<Step> timer(CallPlan::Duration after) { return all(plan_->on_timer(kStart + after)); }
  void expect_failure(Errc why) {
    ASSERT_TRUE(plan_->over());
    EXPECT_EQ(plan_->told().source, Source::failure);
    EXPECT_EQ(plan_->told().failure, why) << to_string(plan_->told().failure);
  }

  CallPlan::Rules rules_;
  std::optional<CallPlan> plan_;
};

TEST_F(CallPlanTest, a_call_here_is_told_when_it_has_run) {
  plan_.emplace(rules_);
  EXPECT_EQ(all(plan_->begin_here(kStart)), only(Kind::run_here));
  EXPECT_EQ(plan_->wakes_at(), std::nullopt);
  EXPECT_EQ(all(plan_->here_ended(kStart + 1ms)), only(Kind::tell));
  EXPECT_EQ(plan_->told().source, Source::here);
}

TEST_F(CallPlanTest, a_call_at_an_edge_is_told_its_answer) {
  begin_at(1);
  EXPECT_EQ(plan_->wakes_at(), kStart + rules_.edge_limit);
  EXPECT_EQ(all(plan_->edge_answered(1, kStart + 1ms)), only(Kind::tell));
  EXPECT_EQ(plan_->told().source, Source::edge);
  EXPECT_EQ(plan_->told().edge, 1U);
  EXPECT_TRUE(failed(1, Errc::unreachable, kBoth).empty()) << "it is over";
}

TEST_F(CallPlanTest, a_lost_edge_is_followed_by_each_other_that_is_ready_once_and_then_by_here) {
  begin_at(0);
  EXPECT_EQ(failed(0, Errc::unreachable, 0b111), only(Kind::call_edge, 1));
  EXPECT_EQ(failed(1, Errc::overloaded, 0b111, Begun::no), only(Kind::call_edge, 2));
  EXPECT_EQ(failed(2, Errc::refused, 0b111, Begun::no), only(Kind::run_here));
  EXPECT_EQ(all(plan_->here_ended(kStart + 5ms)), only(Kind::tell));
  EXPECT_EQ(plan_->tried(), 0b111U);
}

TEST_F(CallPlanTest, edges_that_are_not_ready_are_passed_over) {
  begin_at(1);
  EXPECT_EQ(failed(1, Errc::unreachable, 0b1000), only(Kind::call_edge, 3));
}

TEST_F(CallPlanTest, arguments_that_cannot_be_sent_are_tried_at_no_other_edge) {
  begin_at(0);
  EXPECT_EQ(failed(0, Errc::invalid_argument, kBoth, Begun::no), only(Kind::run_here));
}

TEST_F(CallPlanTest, without_a_fallback_the_last_failure_is_told) {
  rules_.fallback = Fallback::none;
  begin_at(0);
  EXPECT_EQ(failed(0, Errc::unreachable, 0b10), only(Kind::call_edge, 1));
  EXPECT_EQ(failed(1, Errc::version_mismatch, 0b11, Begun::no), only(Kind::tell));
  expect_failure(Errc::version_mismatch);
}

TEST_F(CallPlanTest, a_slow_edge_gives_up_before_the_call_runs_here) {
  begin_at(0);
  EXPECT_TRUE(timer(rules_.edge_limit - 1ms).empty());
  EXPECT_EQ(timer(rules_.edge_limit), only(Kind::cancel_edge));
  EXPECT_EQ(plan_->wakes_at(), std::nullopt);
  EXPECT_EQ(failed(0, Errc::deadline_exceeded, kBoth), only(Kind::run_here))
      << "time is not spent at yet another edge";
}

TEST_F(CallPlanTest, an_answer_that_crosses_the_end_of_the_edges_time_is_taken) {
  begin_at(0);
  EXPECT_EQ(timer(rules_.edge_limit), only(Kind::cancel_edge));
  EXPECT_EQ(all(plan_->edge_answered(0, kStart + rules_.edge_limit)), only(Kind::tell));
  EXPECT_EQ(plan_->told().source, Source::edge);
}

// --- Deadlines

TEST_F(CallPlanTest, at_its_deadline_a_call_leaves_the_edge_and_is_told) {
  rules_.deadline = kStart + 10ms;
  begin_at(0);
  EXPECT_EQ(plan_->wakes_at(), rules_.deadline);
  EXPECT_EQ(timer(10ms), only(Kind::cancel_edge));
  EXPECT_FALSE(plan_->over()) << "the edge still reads the arguments";
  EXPECT_EQ(failed(0, Errc::deadline_exceeded, kBoth), only(Kind::tell));
  expect_failure(Errc::deadline_exceeded);
}

TEST_F(CallPlanTest, an_answer_after_the_deadline_is_not_told) {
  rules_.deadline = kStart + 10ms;
  begin_at(0);
  EXPECT_EQ(all(plan_->edge_answered(0, kStart + 10ms)), only(Kind::tell));
  expect_failure(Errc::deadline_exceeded);
}

TEST_F(CallPlanTest, a_slow_edge_falls_back_only_while_the_deadline_allows) {
  rules_.edge_limit = 5ms;
  rules_.deadline = kStart + 20ms;
  begin_at(0);
  EXPECT_EQ(timer(5ms), only(Kind::cancel_edge));
  EXPECT_EQ(failed(0, Errc::deadline_exceeded, kNone, Begun::unknown, 6ms), only(Kind::run_here));
  EXPECT_EQ(timer(20ms), only(Kind::stop_here));
  EXPECT_EQ(all(plan_->here_ended(kStart + 25ms)), only(Kind::tell));
  expect_failure(Errc::deadline_exceeded);
}

TEST_F(CallPlanTest, an_edge_that_notices_the_deadline_first_is_believed) {
  rules_.deadline = kStart + 10ms;
  begin_at(0);
  EXPECT_EQ(failed(0, Errc::deadline_exceeded, kBoth, Begun::yes, 9ms), only(Kind::tell));
  expect_failure(Errc::deadline_exceeded);
}

TEST_F(CallPlanTest, an_edge_lost_after_the_deadline_is_followed_by_nothing) {
  rules_.deadline = kStart + 10ms;
  begin_at(0);
  EXPECT_EQ(failed(0, Errc::unreachable, kBoth, Begun::unknown, 10ms), only(Kind::tell));
  expect_failure(Errc::deadline_exceeded);
}

TEST_F(CallPlanTest, a_run_here_that_ends_late_is_not_told) {
  rules_.deadline = kStart + 10ms;
  plan_.emplace(rules_);
  EXPECT_EQ(all(plan_->begin_here(kStart)), only(Kind::run_here));
  EXPECT_EQ(plan_->wakes_at(), rules_.deadline);
  EXPECT_EQ(all(plan_->here_ended(kStart + 11ms)), only(Kind::tell));
  expect_failure(Errc::deadline_exceeded);
}

TEST_F(CallPlanTest, a_call_whose_deadline_was_before_it_runs_nowhere) {
  rules_.deadline = kStart;
  plan_.emplace(rules_);
  EXPECT_EQ(all(plan_->begin_at(0, kStart)), only(Kind::tell));
  expect_failure(Errc::deadline_exceeded);
  plan_.emplace(rules_);
  EXPECT_EQ(all(plan_->begin_here(kStart)), only(Kind::tell));
  expect_failure(Errc::deadline_exceeded);
}

// --- Hedges

TEST_F(CallPlanTest, a_late_answer_is_hedged_and_the_hedge_wins_when_it_ends_first) {
  rules_.hedge = 3ms;
  begin_at(0);
  EXPECT_EQ(plan_->wakes_at(), kStart + 3ms);
  EXPECT_EQ(timer(3ms), only(Kind::run_hedge));
  EXPECT_EQ(plan_->wakes_at(), kStart + rules_.edge_limit);
  EXPECT_EQ(all(plan_->hedge_ended(CallPlan::Hedge::usable, kBoth, kStart + 5ms)),
            only(Kind::cancel_edge));
  EXPECT_EQ(all(plan_->edge_answered(0, kStart + 6ms)), only(Kind::tell)) << "it crossed";
  EXPECT_EQ(plan_->told().source, Source::hedge);
}

TEST_F(CallPlanTest, an_answer_that_comes_before_the_hedge_has_ended_wins) {
  rules_.hedge = 3ms;
  begin_at(0);
  EXPECT_EQ(timer(3ms), only(Kind::run_hedge));
  EXPECT_EQ(all(plan_->edge_answered(0, kStart + 4ms)),
            (std::vector<Step>{{Kind::stop_hedge}, {Kind::tell}}));
  EXPECT_EQ(plan_->told().source, Source::edge);
  EXPECT_TRUE(all(plan_->hedge_ended(CallPlan::Hedge::usable, kBoth, kStart + 5ms)).empty());
}

TEST_F(CallPlanTest, an_edge_lost_while_it_is_hedged_leaves_the_hedge) {
  rules_.hedge = 3ms;
  begin_at(0);
  EXPECT_EQ(timer(3ms), only(Kind::run_hedge));
  EXPECT_TRUE(failed(0, Errc::unreachable, kBoth, Begun::unknown, 4ms).empty());
  EXPECT_EQ(plan_->wakes_at(), std::nullopt);
  EXPECT_EQ(all(plan_->hedge_ended(CallPlan::Hedge::usable, kBoth, kStart + 9ms)),
            only(Kind::tell));
  EXPECT_EQ(plan_->told().source, Source::hedge);
}

TEST_F(CallPlanTest, a_hedge_that_cannot_be_run_changes_nothing) {
  rules_.hedge = 3ms;
  begin_at(0);
  EXPECT_EQ(timer(3ms), only(Kind::run_hedge));
  EXPECT_TRUE(all(plan_->hedge_ended(CallPlan::Hedge::unusable, kBoth, kStart + 3ms)).empty());
  EXPECT_TRUE(timer(4ms).empty()) << "there is one hedge at most";
  EXPECT_EQ(failed(0, Errc::unreachable, kBoth), only(Kind::call_edge, 1));
}

TEST_F(CallPlanTest, a_hedge_that_cannot_be_run_once_the_edge_is_lost_is_followed_by_here) {
  rules_.hedge = 3ms;
  begin_at(0);
  EXPECT_EQ(timer(3ms), only(Kind::run_hedge));
  EXPECT_TRUE(failed(0, Errc::unreachable, kBoth, Begun::unknown, 4ms).empty());
  EXPECT_EQ(all(plan_->hedge_ended(CallPlan::Hedge::unusable, kNone, kStart + 5ms)),
            only(Kind::run_here));
}

TEST_F(CallPlanTest, a_deadline_ends_edge_and_hedge) {
  rules_.hedge = 3ms;
  rules_.deadline = kStart + 10ms;
  begin_at(0);
  EXPECT_EQ(timer(3ms), only(Kind::run_hedge));
  EXPECT_EQ(timer(10ms), (std::vector<Step>{{Kind::cancel_edge}, {Kind::stop_hedge}}));
  EXPECT_TRUE(all(plan_->hedge_ended(CallPlan::Hedge::usable, kBoth, kStart + 10ms)).empty());
  EXPECT_EQ(failed(0, Errc::deadline_exceeded, kBoth, Begun::unknown, 11ms), only(Kind::tell));
  expect_failure(Errc::deadline_exceeded);
}

// --- Cancelling

TEST_F(CallPlanTest, a_cancelled_call_is_told_once_the_edge_has_given_up) {
  begin_at(0);
  EXPECT_EQ(all(plan_->cancel()), only(Kind::cancel_edge));
  EXPECT_TRUE(all(plan_->cancel()).empty());
  EXPECT_EQ(all(plan_->edge_answered(0, kStart + 1ms)), only(Kind::tell));
  expect_failure(Errc::cancelled);
}

TEST_F(CallPlanTest, a_cancelled_run_here_is_stopped_and_told_so_unless_it_returns_all_the_same) {
  for (const auto here : {CallPlan::Here::none, CallPlan::Here::result}) {
    plan_.emplace(rules_);
    EXPECT_EQ(all(plan_->begin_here(kStart)), only(Kind::run_here));
    EXPECT_EQ(all(plan_->cancel()), only(Kind::stop_here));
    EXPECT_EQ(all(plan_->here_ended(kStart + 1ms, here)), only(Kind::tell));
    if (here == CallPlan::Here::none) {
      expect_failure(Errc::cancelled);
    } else {
      EXPECT_EQ(plan_->told().source, Source::here);
    }
  }
}

TEST_F(CallPlanTest, a_call_that_only_its_hedge_runs_is_cancelled_at_once) {
  rules_.hedge = 3ms;
  begin_at(0);
  EXPECT_EQ(timer(3ms), only(Kind::run_hedge));
  EXPECT_TRUE(failed(0, Errc::unreachable, kNone, Begun::unknown, 4ms).empty());
  EXPECT_EQ(all(plan_->cancel()), (std::vector<Step>{{Kind::stop_hedge}, {Kind::tell}}));
  expect_failure(Errc::cancelled);
}

TEST_F(CallPlanTest, a_call_that_is_cancelled_while_a_slow_edge_gives_up_runs_nowhere_else) {
  begin_at(0);
  EXPECT_EQ(timer(rules_.edge_limit), only(Kind::cancel_edge));
  EXPECT_TRUE(all(plan_->cancel()).empty());
  EXPECT_EQ(failed(0, Errc::deadline_exceeded, kBoth), only(Kind::tell));
  expect_failure(Errc::cancelled);
}

// --- Effects

TEST_F(CallPlanTest, a_call_with_effects_that_may_have_begun_is_interrupted) {
  rules_.repeat = Repeat::never;
  begin_at(0);
  EXPECT_EQ(failed(0, Errc::unreachable, kBoth, Begun::unknown), only(Kind::tell));
  expect_failure(Errc::interrupted);
}

TEST_F(CallPlanTest, a_call_with_effects_goes_on_while_it_certainly_was_not_begun) {
  rules_.repeat = Repeat::never;
  begin_at(0);
  EXPECT_EQ(failed(0, Errc::overloaded, kBoth, Begun::no), only(Kind::call_edge, 1));
  EXPECT_EQ(failed(1, Errc::refused, kBoth, Begun::no), only(Kind::run_here));
}

TEST_F(CallPlanTest, a_call_with_effects_whose_run_failed_is_told_how) {
  rules_.repeat = Repeat::never;
  begin_at(0);
  EXPECT_EQ(failed(0, Errc::resource_exhausted, kBoth, Begun::yes), only(Kind::tell));
  expect_failure(Errc::resource_exhausted);
}

TEST_F(CallPlanTest, a_call_with_effects_at_a_slow_edge_is_interrupted_if_it_left) {
  rules_.repeat = Repeat::never;
  begin_at(0);
  EXPECT_EQ(timer(rules_.edge_limit), only(Kind::cancel_edge));
  EXPECT_EQ(failed(0, Errc::deadline_exceeded, kBoth, Begun::unknown), only(Kind::tell));
  expect_failure(Errc::interrupted);

  begin_at(0);
  EXPECT_EQ(timer(rules_.edge_limit), only(Kind::cancel_edge));
  EXPECT_EQ(failed(0, Errc::deadline_exceeded, kBoth, Begun::no), only(Kind::run_here));
}

}  // namespace
}  // namespace aloft::function
