// Messages of an elastic channel while nothing is lost: order, bounds, kinds, effects of errors.
#include "channel/fixed_end.h"

#include <gtest/gtest.h>

#include "channel/state_blocks.h"
#include "channel/testing/end_world.h"

namespace aloft::channel {
namespace {

using namespace std::chrono_literals;
using testing::bytes_of;
using testing::kRefuse;
using testing::kTrap;
using testing::World;

TEST(FixedEnd, answers_are_told_in_order_once) {
  World world({.has_state = true});
  for (std::uint64_t i = 1; i <= 20; ++i) world.send(i);
  world.settle();
  world.expect_answers(20);
  EXPECT_EQ(world.fixed.counters().answered, 20U);
  EXPECT_EQ(world.fixed.counters().log_messages, 0U);
  EXPECT_EQ(world.fixed.counters().log_bytes, 0U);
}

TEST(FixedEnd, no_more_than_in_flight_are_unanswered_at_home) {
  World world({.in_flight = 2});
  for (std::uint64_t i = 1; i <= 5; ++i) world.send(i);
  EXPECT_EQ(world.places[kHere].to.size(), 2U);
  world.deliver();
  world.run_job(kHere);
  world.deliver();
  EXPECT_EQ(world.outcomes.size(), 1U);
  EXPECT_FALSE(world.at(kHere).end.idle());
  world.settle();
  world.expect_answers(5);
}

TEST(FixedEnd, a_full_channel_says_so_and_takes_more_once_there_is_room) {
  World world({.max_messages = 3});
  for (std::uint64_t i = 1; i <= 3; ++i) world.send(i);
  const auto fourth = world.fixed.send(0, bytes_of(4), world.now);
  ASSERT_FALSE(fourth.has_value());
  EXPECT_EQ(fourth.error().code, Errc::overloaded);
  world.settle();
  EXPECT_TRUE(world.fixed.send(0, bytes_of(4), world.now).has_value());
}

TEST(FixedEnd, bytes_are_bounded_as_well) {
  World world({.max_bytes = 20});
  world.send(1);
  world.send(2);
  EXPECT_EQ(world.fixed.send(0, bytes_of(3), world.now).error().code, Errc::overloaded);
  const auto never = world.fixed.send(0, std::make_shared<const Bytes>(21), world.now);
  EXPECT_EQ(never.error().code, Errc::resource_exhausted);
  world.settle();
  world.expect_answers(2);
}

TEST(FixedEnd, the_newest_message_of_kind_latest_wins) {
  World world({.kind = Kind::latest, .in_flight = 1});
  for (std::uint64_t i = 1; i <= 4; ++i) world.send(i);
  // 1 has left; 2 and 3 gave way to the next ones, and were told so at once.
  EXPECT_EQ(world.told(), (std::vector<Sequence>{2, 3}));
  EXPECT_TRUE(world.outcomes[0].dropped);
  EXPECT_EQ(world.outcomes[0].result.error().code, Errc::cancelled);
  world.settle();
  EXPECT_EQ(world.told(), (std::vector<Sequence>{2, 3, 1, 4}));
  EXPECT_EQ(world.fixed.counters().dropped, 2U);
  EXPECT_EQ(world.executed, (std::map<Sequence, int>{{1, 1}, {4, 1}}));
}

TEST(FixedEnd, a_message_that_cannot_leave_by_its_deadline_is_dropped) {
  World world({.kind = Kind::deadline, .deadline = 10ms, .in_flight = 1});
  world.send(1);
  world.send(2);
  ASSERT_TRUE(world.fixed.wakes_at().has_value());
  EXPECT_EQ(*world.fixed.wakes_at(), world.now + 10ms);
  world.later(10ms);
  ASSERT_EQ(world.told(), (std::vector<Sequence>{2}));
  EXPECT_EQ(world.outcomes[0].result.error().code, Errc::deadline_exceeded);
  EXPECT_TRUE(world.outcomes[0].dropped);
  EXPECT_FALSE(world.fixed.wakes_at().has_value());
  world.settle();
  EXPECT_EQ(world.told(), (std::vector<Sequence>{2, 1}));
}

TEST(FixedEnd, a_deadline_is_looked_at_when_a_message_would_leave_even_without_a_timer) {
  World world({.in_flight = 1});
  world.send(1);
  ASSERT_TRUE(world.fixed.send(0, bytes_of(2), world.now, world.now + 5ms).has_value());
  world.now += 6ms;
  world.settle();
  EXPECT_EQ(world.executed.count(2), 0U);
  EXPECT_EQ(world.told(), (std::vector<Sequence>{1, 2}));
  const auto over = world.fixed.send(0, bytes_of(3), world.now, world.now);
  EXPECT_EQ(over.error().code, Errc::deadline_exceeded);
}

TEST(FixedEnd, a_message_can_be_given_up_until_it_leaves) {
  World world({.in_flight = 1});
  world.send(1);
  world.send(2);
  world.fixed.cancel(2, world.now);
  world.fixed.cancel(1, world.now);
  EXPECT_EQ(world.told(), (std::vector<Sequence>{2}));
  world.settle();
  EXPECT_EQ(world.told(), (std::vector<Sequence>{2, 1}));
  EXPECT_TRUE(world.outcomes[1].result.has_value());
}

TEST(FixedEnd, an_error_is_told_in_its_turn_and_changes_nothing) {
  World world({.has_state = true});
  world.send(1);
  world.send(99, kRefuse);
  world.send(2);
  world.settle();
  ASSERT_EQ(world.told(), (std::vector<Sequence>{1, 2, 3}));
  EXPECT_EQ(world.outcomes[1].result.error().code, Errc::invalid_argument);
  EXPECT_EQ(testing::number_of(*world.outcomes[2].result), 1U * 31 + 2);
}

TEST(FixedEnd, an_idle_channel_here_is_run_by_its_owner) {
  World world({.has_state = true});
  world.send(1);
  EXPECT_FALSE(world.fixed.take_here().has_value());
  world.settle();
  const auto taken = world.fixed.take_here();
  ASSERT_TRUE(taken.has_value());
  EXPECT_EQ(*taken, 2U);
  world.at(kHere).end.skip(*taken);
  world.at(kHere).object.add(2);
  world.send(3);
  world.settle();
  EXPECT_EQ(testing::number_of(*world.outcomes[1].result), (31 + 2) * 31 + 3U);
}

TEST(FixedEnd, what_was_run_here_by_the_owner_moves_along) {
  World world({.has_state = true});
  const auto taken = world.fixed.take_here();
  world.at(kHere).object.add(1);
  world.at(kHere).end.skip(*taken);
  world.up(1);
  world.move(1);
  EXPECT_FALSE(world.fixed.take_here().has_value());
  world.send(2);
  world.settle();
  EXPECT_EQ(testing::number_of(*world.outcomes[0].result), 31U + 2);
  world.move(kHere);
  EXPECT_EQ(world.fixed.take_here(), std::optional<Sequence>(3));
}

TEST(FixedEnd, closing_ends_what_waits_and_what_is_under_way) {
  World world({.in_flight = 1});
  world.send(1);
  world.send(2);
  world.fixed.close({Errc::refused, "over"}, world.now);
  ASSERT_EQ(world.told(), (std::vector<Sequence>{1, 2}));
  EXPECT_EQ(world.outcomes[0].result.error().code, Errc::refused);
  EXPECT_FALSE(world.outcomes[0].dropped);
  EXPECT_TRUE(world.outcomes[1].dropped);
  EXPECT_EQ(world.fixed.send(0, bytes_of(3), world.now).error().code, Errc::refused);
  world.settle();
  EXPECT_EQ(world.outcomes.size(), 2U);
  EXPECT_TRUE(world.places[kHere].ends.empty());
}

TEST(FixedEnd, closing_says_of_effects_under_way_that_nobody_knows) {
  World world({.has_effects = true, .in_flight = 1});
  world.send(1);
  world.send(2);
  world.fixed.close({Errc::refused, "over"}, world.now);
  EXPECT_EQ(world.outcomes[0].result.error().code, Errc::interrupted);
  EXPECT_EQ(world.outcomes[1].result.error().code, Errc::refused);
}

TEST(FixedEnd, the_log_is_covered_by_a_checkpoint_when_it_is_half_full) {
  World world({.has_state = true, .max_messages = 16});
  world.up(1);
  world.move(1);
  for (std::uint64_t i = 1; i <= 40; ++i) {
    world.send(i);
    world.settle();
    EXPECT_LE(world.fixed.counters().log_messages, 8U);
  }
  world.expect_answers(40);
}

TEST(FixedEnd, large_answers_are_acknowledged_though_nothing_is_sent) {
  World world({.in_flight = 32});
  world.up(1);
  world.move(1);
  for (std::uint64_t i = 1; i <= 32; ++i) world.send(i);
  world.deliver();
  bool acknowledged = false;
  while (world.run_job(1)) {
    world.arrive_here(1);
    for (const EndMessage& message : world.places[1].to)
      acknowledged |= std::holds_alternative<Acknowledge>(message.content);
  }
  EXPECT_TRUE(acknowledged);
  world.expect_answers(32);
}

TEST(FixedEnd, what_no_honest_end_says_ends_the_attachment_and_not_the_channel) {
  const std::vector<decltype(EndMessage::content)> lies{
      Answer{.sequence = 7, .error = {}, .body = bytes_of(1)},
      Answer{.sequence = 3, .error = {}, .body = bytes_of(1)},
      Answer{.sequence = 2, .error = {}, .body = nullptr},
      State{.state = whole_state(9, 0, std::make_shared<const Bytes>())},
      Attached{.known = true, .received = 1},
      Installed{.version = 1, .final = true},
      Detach{},
  };
  for (std::size_t i = 0; i < lies.size(); ++i) {
    SCOPED_TRACE(i);
    World world({.has_state = true});
    world.up(1);
    world.move(1);
    world.send(1);
    world.settle();
    world.send(2);
    world.send(3);
    world.fixed.received(1, {.epoch = world.places[1].ends.begin()->first, .content = lies[i]},
                         world.now);
    EXPECT_TRUE(world.fixed.moving());
    world.settle();
    EXPECT_FALSE(world.fixed.moving());
    world.expect_answers(3);
    EXPECT_EQ(world.fixed.counters().recoveries, 1U);
  }
}

TEST(FixedEnd, a_state_that_does_not_fit_is_no_checkpoint) {
  for (const Sequence at : {Sequence{0}, Sequence{2}}) {
    World world({.has_state = true});
    world.up(1);
    world.move(1);
    world.send(1);
    world.settle();
    world.fixed.checkpoint(world.now);
    StateBlocks state = whole_state(2, at, std::make_shared<const Bytes>(64));
    world.fixed.received(
        1, {.epoch = world.places[1].ends.begin()->first, .content = State{.state = state}},
        world.now);
    world.settle();
    world.send(2);
    world.settle();
    world.expect_answers(2);
    EXPECT_EQ(world.fixed.counters().recoveries, 1U);
  }
}

}  // namespace
}  // namespace aloft::channel
