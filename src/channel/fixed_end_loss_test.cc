// What an elastic channel does when links and places are lost: resume, recover, interrupt.
#include <gtest/gtest.h>

#include "channel/attachment.h"
#include "channel/testing/end_world.h"

namespace aloft::channel {
namespace {

using namespace std::chrono_literals;
using testing::kRefuse;
using testing::kTrap;
using testing::World;

TEST(FixedEndLoss, a_lost_link_is_resumed_and_nothing_runs_twice) {
  World world({.has_state = true, .in_flight = 4});
  world.up(1);
  world.move(1);
  for (std::uint64_t i = 1; i <= 6; ++i) world.send(i);
  world.arrive_there(1);
  world.arrive_there(1);
  world.run_job(1);  // the answer to 1 is lost, 2 is there, 3 and 4 are lost
  world.down(1);
  world.later(100ms);
  world.up(1);
  world.settle();
  world.expect_answers(6);
  for (const auto& [sequence, times] : world.executed) EXPECT_EQ(times, 1) << sequence;
  EXPECT_EQ(world.fixed.counters().recoveries, 0U);
  EXPECT_EQ(world.fixed.counters().repeated, 2U);
}

TEST(FixedEndLoss, a_home_that_does_not_come_back_is_recovered_elsewhere) {
  World world({.has_state = true, .resume_within = 250ms});
  world.up(1);
  world.up(2);
  world.move(1);
  for (std::uint64_t i = 1; i <= 3; ++i) world.send(i);
  world.settle();
  for (std::uint64_t i = 4; i <= 6; ++i) world.send(i);
  world.kill(1);
  EXPECT_EQ(world.fixed.wakes_at(), world.now + 250ms);
  world.later(249ms);
  EXPECT_FALSE(world.fixed.moving());
  world.later(1ms);
  EXPECT_TRUE(world.fixed.moving());
  world.settle();
  EXPECT_EQ(world.fixed.home(), 2U);
  world.expect_answers(6);
  ASSERT_EQ(world.reports.size(), 2U);
  EXPECT_TRUE(world.reports[1].recovery);
  EXPECT_EQ(world.reports[1].from, 1U);
  EXPECT_EQ(world.reports[1].to, 2U);
  EXPECT_EQ(world.reports[1].blackout, 250ms);
  EXPECT_EQ(world.fixed.counters().duplicates, 3U) << "1 to 3 were replayed";
  EXPECT_EQ(world.fixed.counters().recoveries, 1U);
}

TEST(FixedEndLoss, a_state_that_cannot_be_saved_ends_the_move_and_nothing_else) {
  for (const PlaceIndex from : {kHere, PlaceIndex{1}}) {
    World world({.has_state = true});
    world.up(1);
    world.up(2);
    if (from != kHere) world.move(from);
    world.send(1);
    world.settle();
    const std::size_t told = world.reports.size();
    world.refuses_save = true;
    ASSERT_TRUE(world.fixed.move(2, 0, world.now).has_value());
    world.send(2);
    world.settle();
    ASSERT_EQ(world.reports.size(), told + 1);
    ASSERT_FALSE(world.reports.back().result.has_value());
    EXPECT_EQ(world.reports.back().result.error().code, Errc::resource_exhausted);
    EXPECT_EQ(world.fixed.home(), from);
    EXPECT_FALSE(world.fixed.closed());
    world.refuses_save = false;
    world.send(3);
    world.move(2);
    world.send(4);
    world.settle();
    world.expect_answers(4);
  }
}

TEST(FixedEndLoss, only_what_the_checkpoint_does_not_cover_is_replayed) {
  World world({.has_state = true});
  world.up(1);
  world.up(2);
  world.move(1);
  for (std::uint64_t i = 1; i <= 10; ++i) world.send(i);
  world.settle();
  world.fixed.checkpoint(world.now);
  world.settle();
  EXPECT_EQ(world.fixed.counters().log_messages, 0U);
  for (std::uint64_t i = 11; i <= 13; ++i) world.send(i);
  world.settle();
  world.kill(1);
  world.later(1s);
  world.settle();
  world.send(14);
  world.settle();
  world.expect_answers(14);
  EXPECT_EQ(world.fixed.counters().duplicates, 3U);
}

TEST(FixedEndLoss, a_copy_that_is_ahead_of_the_answers_is_no_checkpoint_yet) {
  World world({.has_state = true});
  world.up(1);
  world.up(2);
  world.move(1);
  world.send(1);
  world.deliver();
  world.fixed.checkpoint(world.now);
  world.deliver();
  world.run_job(1);  // 1
  world.run_job(1);  // the copy after it
  auto& from = world.places[1].from;
  ASSERT_EQ(from.size(), 2U);
  std::swap(from[0], from[1]);
  world.arrive_here(1);  // the copy; the answer to 1 is lost with the place
  world.kill(1);
  world.later(1s);
  world.settle();
  world.send(2);
  world.settle();
  world.expect_answers(2);
}

TEST(FixedEndLoss, without_another_place_it_goes_on_here) {
  World world({.has_state = true});
  world.up(1);
  world.move(1);
  world.send(1);
  world.kill(1);
  world.later(1s);
  world.settle();
  EXPECT_EQ(world.fixed.home(), kHere);
  world.send(2);
  world.settle();
  world.expect_answers(2);
  EXPECT_EQ(world.fixed.counters().log_messages, 0U);
  EXPECT_TRUE(world.fixed.take_here().has_value());
}

TEST(FixedEndLoss, or_waits_for_a_link_where_it_may_not) {
  World world({.has_state = true, .recover_here = false});
  world.up(1);
  world.move(1);
  world.send(1);
  world.kill(1);
  world.later(1s);
  world.settle();
  EXPECT_TRUE(world.fixed.moving());
  EXPECT_FALSE(world.fixed.wakes_at().has_value());
  world.up(2);
  world.settle();
  EXPECT_EQ(world.fixed.home(), 2U);
  world.expect_answers(1);
}

TEST(FixedEndLoss, a_process_that_was_replaced_gets_the_state_anew) {
  World world({.has_state = true});
  world.up(1);
  world.move(1);
  world.send(1);
  world.settle();
  world.send(2);
  world.kill(1);
  world.up(1);  // before the time for a resume is over
  world.settle();
  EXPECT_EQ(world.fixed.home(), 1U);
  world.expect_answers(2);
  EXPECT_EQ(world.fixed.counters().recoveries, 1U);
}

TEST(FixedEndLoss, a_recovery_tries_one_place_after_the_other) {
  World world({.has_state = true, .step_timeout = 1s});
  for (const PlaceIndex place : {1U, 2U, 3U}) world.up(place);
  world.move(1);
  world.send(1);
  world.kill(1);
  world.later(250ms);  // place 2 is asked
  world.kill(2);       // and place 3, which does not answer
  world.later(1s);
  EXPECT_TRUE(world.fixed.moving());
  world.settle();
  EXPECT_EQ(world.fixed.home(), kHere);
  world.expect_answers(1);
  EXPECT_EQ(world.fixed.counters().recoveries, 1U);
}

TEST(FixedEndLoss, a_trapped_call_is_told_and_the_state_is_as_if_it_had_not_been) {
  World world({.has_state = true, .in_flight = 3});
  world.up(1);
  world.move(1);
  world.send(1);
  world.send(0, kTrap);
  world.send(3);
  world.settle();
  ASSERT_EQ(world.told(), (std::vector<Sequence>{1, 2, 3}));
  EXPECT_EQ(world.outcomes[1].result.error().code, Errc::trapped);
  EXPECT_EQ(testing::number_of(*world.outcomes[2].result), 31U + 3);
  EXPECT_EQ(world.executed[2], 1) << "it would trap again";
  EXPECT_EQ(world.fixed.home(), 1U) << "its process lives, and is the next place";
  // Nor is it ever again.
  world.kill(1);
  world.later(1s);
  world.settle();
  EXPECT_EQ(world.executed[2], 1);
}

TEST(FixedEndLoss, a_trap_while_the_link_is_down_is_told_when_it_is_resumed) {
  World world({.has_state = true});
  world.up(1);
  world.move(1);
  world.send(0, kTrap);
  world.deliver();
  world.down(1);
  world.run_job(1);
  world.up(1);
  world.settle();
  ASSERT_EQ(world.told(), (std::vector<Sequence>{1}));
  EXPECT_EQ(world.outcomes[0].result.error().code, Errc::trapped);
  EXPECT_EQ(world.executed[1], 1);
  world.send(5);
  world.settle();
  EXPECT_EQ(testing::number_of(*world.outcomes[1].result), 5U);
}

TEST(FixedEndLoss, refused_messages_are_not_replayed) {
  World world({.has_state = true});
  world.up(1);
  world.up(2);
  world.move(1);
  world.send(1);
  world.send(0, kRefuse);
  world.settle();
  world.kill(1);
  world.later(1s);
  world.settle();
  EXPECT_EQ(world.executed[1], 2);
  EXPECT_EQ(world.executed[2], 1);
}

TEST(FixedEndLoss, pure_messages_of_a_lost_place_run_again) {
  World world({.in_flight = 2});
  world.up(1);
  world.up(2);
  world.move(1);
  for (std::uint64_t i = 1; i <= 4; ++i) world.send(i);
  world.deliver();
  world.run_job(1);
  world.kill(1);
  world.later(1s);
  world.settle();
  world.expect_answers(4);
  EXPECT_EQ(world.fixed.home(), 2U);
}

TEST(FixedEndLoss, what_was_under_way_at_a_former_home_runs_again_at_a_new_attachment) {
  World world({.in_flight = 2});
  world.up(1);
  world.up(2);
  world.move(1);
  world.send(1);
  world.send(2);
  ASSERT_TRUE(world.fixed.move(2, 0, world.now).has_value());
  while (world.fixed.moving()) world.deliver();
  world.send(3);
  world.deliver();  // 3 is at the new home, 1 and 2 still at the old one
  world.kill(1);
  world.later(1s);
  world.settle();
  world.send(4);
  world.settle();
  world.expect_answers(4);
  EXPECT_EQ(world.executed[3], 1);
  EXPECT_EQ(world.places[2].ends.size(), 1U);
}

TEST(FixedEndLoss, effects_that_may_have_been_are_interrupted_and_never_repeated) {
  World world({.has_effects = true, .in_flight = 2});
  world.up(1);
  world.up(2);
  world.move(1);
  for (std::uint64_t i = 1; i <= 4; ++i) world.send(i);
  world.deliver();
  world.run_job(1);  // 1 has run, its answer is lost; 2 is there; 3 and 4 have not left
  world.kill(1);
  world.later(1s);
  world.settle();
  ASSERT_EQ(world.told(), (std::vector<Sequence>{1, 2, 3, 4}));
  EXPECT_EQ(world.outcomes[0].result.error().code, Errc::interrupted);
  EXPECT_EQ(world.outcomes[1].result.error().code, Errc::interrupted);
  EXPECT_TRUE(world.outcomes[2].result.has_value());
  EXPECT_TRUE(world.outcomes[3].result.has_value());
  for (const auto& [sequence, times] : world.executed) EXPECT_EQ(times, 1) << sequence;
  EXPECT_EQ(world.fixed.counters().interrupted, 2U);
}

TEST(FixedEndLoss, effects_survive_a_lost_link_that_is_resumed) {
  World world({.has_effects = true, .in_flight = 2});
  world.up(1);
  world.move(1);
  for (std::uint64_t i = 1; i <= 3; ++i) world.send(i);
  world.arrive_there(1);
  world.run_job(1);
  world.down(1);
  world.up(1);
  world.settle();
  world.expect_answers(3);
  for (const auto& [sequence, times] : world.executed) EXPECT_EQ(times, 1) << sequence;
}

TEST(FixedEndLoss, a_former_home_is_resumed_as_well) {
  World world({.has_effects = true, .in_flight = 2});
  world.up(1);
  world.up(2);
  world.move(1);
  world.send(1);
  world.deliver();
  ASSERT_TRUE(world.fixed.move(2, 0, world.now).has_value());
  world.deliver();
  EXPECT_EQ(world.fixed.home(), 2U);
  world.down(1);
  world.run_job(1);
  world.send(2);
  world.up(1);
  world.settle();
  world.expect_answers(2);
  EXPECT_EQ(world.fixed.counters().interrupted, 0U);
}

TEST(FixedEndLoss, an_object_that_lasts_here_ends_the_channel_when_it_is_lost_all_the_same) {
  World world({.has_state = true});
  world.send(1);
  world.send(0, kTrap);
  world.send(3);
  world.settle();
  ASSERT_EQ(world.told(), (std::vector<Sequence>{1, 2, 3}));
  EXPECT_EQ(world.outcomes[2].result.error().code, Errc::trapped);
  EXPECT_TRUE(world.fixed.closed());
}

TEST(FixedEndLoss, an_object_that_may_fail_here_is_recovered_here) {
  World world({.has_state = true, .here_may_fail = true});
  EXPECT_FALSE(world.fixed.take_here().has_value());
  world.send(1);
  world.send(0, kTrap);
  world.send(3);
  world.settle();
  ASSERT_EQ(world.told(), (std::vector<Sequence>{1, 2, 3}));
  EXPECT_EQ(testing::number_of(*world.outcomes[2].result), 31U + 3);
}

TEST(FixedEndLoss, duplicates_on_the_way_are_suppressed_at_both_ends) {
  World world({.has_state = true, .in_flight = 3});
  world.up(1);
  world.move(1);
  for (std::uint64_t i = 1; i <= 3; ++i) world.send(i);
  auto& to = world.places[1].to;
  for (std::size_t i = 0, size = to.size(); i < size; ++i) to.push_back(to[i]);
  while (world.arrive_there(1) || world.run_job(1)) {
  }
  auto& from = world.places[1].from;
  for (std::size_t i = 0, size = from.size(); i < size; ++i) from.push_back(from[i]);
  world.settle();
  world.expect_answers(3);
  for (const auto& [sequence, times] : world.executed) EXPECT_EQ(times, 1) << sequence;
  EXPECT_GE(world.fixed.counters().duplicates, 3U);
  EXPECT_EQ(world.fixed.counters().recoveries, 0U);
}

TEST(FixedEndLoss, a_resumed_end_that_lies_about_what_it_received_is_recovered) {
  for (const Sequence received : {Sequence{0}, Sequence{9}}) {
    World world({.has_state = true});
    world.up(1);
    world.move(1);
    world.send(1);
    world.settle();
    world.send(2);
    const Epoch epoch = world.places[1].ends.begin()->first;
    world.down(1);
    world.up(1);
    world.fixed.received(
        1, {.epoch = epoch, .content = Attached{.known = true, .received = received}}, world.now);
    world.settle();
    world.expect_answers(2);
    EXPECT_EQ(world.fixed.counters().recoveries, 1U);
  }
}

TEST(FixedEndLoss, a_module_that_does_not_compute_the_same_twice_is_given_up) {
  World world({.has_state = true, .step_timeout = 1s});
  world.up(1);
  world.move(1);
  world.send(1);
  world.settle();
  world.send(2);
  // Whoever is home says of each message that it failed, also of those that had not at first.
  for (int i = 0; i < 100 && !world.fixed.closed(); ++i) {
    bool any = false;
    for (PlaceIndex place = 0; place < 2; ++place) {
      any |= world.arrive_there(place);
      for (auto& [epoch, instance] : world.places[place].ends) {
        if (!instance->job || world.fixed.moving()) continue;
        instance->job = nullptr;
        instance->end.executed(fail(Errc::internal, "otherwise"), false);
        any = true;
      }
      any |= world.run_job(place);
      any |= world.arrive_here(place);
    }
    if (!any && world.fixed.wakes_at()) world.later(*world.fixed.wakes_at() - world.now);
  }
  EXPECT_TRUE(world.fixed.closed());
  EXPECT_EQ(world.outcomes.size(), 2U);
}

}  // namespace
}  // namespace aloft::channel
