// Moves of the movable end of an elastic channel: with and without a state, ended at any point, to
// other versions of a module.
#include <gtest/gtest.h>

#include "channel/attachment.h"
#include "channel/testing/end_world.h"

namespace aloft::channel {
namespace {

using namespace std::chrono_literals;
using testing::kTrap;
using testing::World;

constexpr std::size_t kLarge = 300'001;

// How many messages of a kind wait to arrive at a place.
template <class Content>
std::size_t on_the_way_to(World& world, PlaceIndex place) {
  std::size_t count = 0;
  for (const EndMessage& message : world.places[place].to)
    count += std::holds_alternative<Content>(message.content);
  return count;
}

TEST(Relocation, a_move_without_state_stalls_no_message) {
  World world({.in_flight = 2});
  world.up(1);
  for (std::uint64_t i = 1; i <= 3; ++i) world.send(i);
  world.deliver();  // 1 and 2 are here, and do not end yet
  ASSERT_TRUE(world.fixed.move(1, 0, world.now).has_value());
  world.deliver();
  EXPECT_EQ(world.fixed.home(), 1U);
  EXPECT_FALSE(world.fixed.moving());
  ASSERT_EQ(world.reports.size(), 1U);
  EXPECT_TRUE(world.reports[0].result.has_value());
  EXPECT_EQ(world.reports[0].blackout, 0s);
  // 3 ends at the new place before 1 and 2 do at the old one, and is told after them.
  world.run_job(1);
  world.deliver();
  EXPECT_EQ(world.executed[3], 1);
  EXPECT_TRUE(world.outcomes.empty());
  world.settle();
  world.expect_answers(3);
  EXPECT_EQ(world.outcomes[0].place, kHere);
  EXPECT_EQ(world.outcomes[2].place, 1U);
  EXPECT_TRUE(world.places[kHere].ends.empty()) << "the old end was detached";
}

TEST(Relocation, a_state_moves_along_in_every_direction) {
  World world({.has_state = true}, kLarge);
  world.up(1);
  world.up(2);
  std::uint64_t sent = 0;
  for (const PlaceIndex to : {1U, 2U, 1U, kHere, 2U, kHere}) {
    for (int i = 0; i < 5; ++i) world.send(++sent);
    world.move(to);
    for (int i = 0; i < 5; ++i) world.send(++sent);
    world.settle();
  }
  world.expect_answers(60);
  for (const auto& [sequence, times] : world.executed) EXPECT_EQ(times, 1) << sequence;
  EXPECT_EQ(world.fixed.counters().moves, 6U);
  for (auto& [index, place] : world.places) EXPECT_EQ(place.ends.size(), index == kHere ? 1U : 0U);
}

TEST(Relocation, home_serves_while_its_state_is_copied) {
  World world({.has_state = true, .in_flight = 1}, kLarge);
  world.up(1);
  world.send(1);
  world.settle();
  ASSERT_TRUE(world.fixed.move(1, 0, world.now).has_value());
  world.deliver();
  ASSERT_TRUE(world.run_job(kHere));  // the copy
  world.send(2);
  world.settle();
  EXPECT_EQ(world.outcomes[1].place, kHere);
  ASSERT_EQ(world.reports.size(), 1U);
  EXPECT_EQ(world.reports[0].state_bytes, kLarge);
  // A second round took what 2 had changed, and not all again.
  EXPECT_GE(world.reports[0].rounds, 2U);
  EXPECT_LT(world.reports[0].copied_bytes, kLarge + 10 * kStateBlock);
  world.send(3);
  world.settle();
  world.expect_answers(3);
  EXPECT_EQ(world.outcomes[2].place, 1U);
}

TEST(Relocation, home_serves_on_however_long_the_destination_is_silent) {
  World world({.has_state = true, .max_messages = 16});
  world.up(1);
  ASSERT_TRUE(world.fixed.move(1, 0, world.now).has_value());
  for (std::uint64_t i = 1; i <= 100; ++i) {
    world.send(i);
    while (world.arrive_there(kHere) || world.run_job(kHere) || world.arrive_here(kHere)) {
    }
  }
  EXPECT_EQ(world.outcomes.size(), 100U);
  EXPECT_TRUE(world.fixed.moving());
  world.settle();
  world.expect_answers(100);
  EXPECT_EQ(world.fixed.home(), 1U);
}

TEST(Relocation, a_state_that_changes_all_the_time_is_copied_so_often_and_no_more) {
  World world({.has_state = true, .in_flight = 4}, 40 * kLittleState);
  world.up(1);
  std::uint64_t sent = 0;
  ASSERT_TRUE(world.fixed.move(1, 0, world.now).has_value());
  while (world.fixed.moving()) {
    // All of it is another one after each message.
    for (auto& [epoch, instance] : world.places[kHere].ends) {
      Bytes state = instance->object.state();
      for (std::size_t i = 64; i < state.size(); i += kStateBlock / 2)
        state[i] = static_cast<std::byte>(sent);
      instance->object.load(state);
    }
    world.send(++sent);
    for (PlaceIndex place : {kHere, 1U}) {
      world.arrive_there(place);
      world.run_job(place);
      world.arrive_here(place);
    }
    ASSERT_LT(sent, 1000U);
  }
  ASSERT_TRUE(world.reports[0].result.has_value());
  EXPECT_LE(world.reports[0].rounds, kMaxCopyRounds + 1);
}

TEST(Relocation, nothing_is_delivered_between_the_cut_and_the_new_home) {
  World world({.has_state = true, .in_flight = 2});
  world.up(1);
  world.send(1);
  world.send(2);
  world.deliver();
  world.run_job(kHere);  // 1
  ASSERT_TRUE(world.fixed.move(1, 0, world.now).has_value());
  world.settle();
  EXPECT_EQ(world.fixed.home(), 1U);
  for (std::uint64_t i = 3; i <= 6; ++i) world.send(i);
  world.settle();
  world.expect_answers(6);
}

TEST(Relocation, the_blackout_lasts_from_the_last_answer_to_the_first_delivery) {
  World world({.has_state = true});
  world.up(1);
  world.send(1);
  world.settle();
  ASSERT_TRUE(world.fixed.move(1, 0, world.now).has_value());
  world.deliver();
  world.now += 3ms;
  world.run_job(kHere);  // the copy, with which home is cut off
  world.deliver();
  world.send(2);
  world.now += 5ms;
  world.settle();
  ASSERT_EQ(world.reports.size(), 1U);
  EXPECT_EQ(world.reports[0].blackout, 5ms);
  EXPECT_EQ(world.reports[0].took, 8ms);
  world.expect_answers(2);
}

TEST(Relocation, a_copy_for_a_checkpoint_is_not_taken_for_the_last_one) {
  World world({.has_state = true, .in_flight = 3});
  world.up(1);
  for (std::uint64_t i = 1; i <= 3; ++i) world.send(i);
  ASSERT_TRUE(world.fixed.move(1, 0, world.now).has_value());
  world.deliver();
  world.run_job(kHere);  // 1
  world.run_job(kHere);  // a copy after it
  world.deliver();
  world.fixed.checkpoint(world.now);  // another, which is asked for while 2 runs
  world.deliver();
  world.run_job(kHere);  // 2
  world.run_job(kHere);  // the copy after it
  world.run_job(kHere);  // 3
  // The answers overtake the copy.
  auto& from = world.places[kHere].from;
  std::ranges::sort(from, {}, [](const EndMessage& message) {
    const auto* const answer = std::get_if<Answer>(&message.content);
    return answer == nullptr ? Sequence{99} : answer->sequence;
  });
  world.settle();
  EXPECT_EQ(world.fixed.home(), 1U);
  world.send(4);
  world.settle();
  world.expect_answers(4);
}

// Runs a move from place 1 to place 2 with messages under way, and does `harm` after each number of
// steps: whenever it comes, all is answered as if nothing had been.
void harm_after_every_step(const FixedEndOptions& options,
                           const std::function<void(World&)>& harm) {
  for (int steps = 0; steps < 60; ++steps) {
    SCOPED_TRACE(steps);
    World world(options, 100'000);
    world.up(1);
    world.up(2);
    world.up(3);
    world.send(1);
    world.move(1);
    for (std::uint64_t i = 2; i <= 6; ++i) world.send(i);
    ASSERT_TRUE(world.fixed.move(2, 1, world.now).has_value());
    int done = 0;
    while (done < steps) {
      const int before = done;
      for (PlaceIndex place = 0; place < 4 && done < steps; ++place) {
        done += world.arrive_there(place);
        if (done < steps) done += world.run_job(place);
        if (done < steps) done += world.arrive_here(place);
      }
      if (done == before) break;
    }
    harm(world);
    world.settle();
    world.later(1s);
    world.settle();
    for (std::uint64_t i = 7; i <= 9; ++i) world.send(i);
    world.settle();
    EXPECT_FALSE(world.fixed.moving());
    world.expect_answers(9);
    const auto moves = std::ranges::count(world.reports, false, &MoveReport::recovery);
    EXPECT_EQ(moves, 2) << "each move is reported once";
    if (::testing::Test::HasFailure()) return;
  }
}

class MoveHarmed : public ::testing::TestWithParam<bool> {
 protected:
  FixedEndOptions options{.has_state = GetParam(), .in_flight = 3};
};

TEST_P(MoveHarmed, home_may_be_lost_at_any_step) {
  harm_after_every_step(options, [](World& world) { world.kill(1); });
}
TEST_P(MoveHarmed, the_destination_may_be_lost_at_any_step) {
  harm_after_every_step(options, [](World& world) { world.kill(2); });
}
TEST_P(MoveHarmed, both_may_be_lost_at_any_step) {
  harm_after_every_step(options, [](World& world) {
    world.kill(1);
    world.kill(2);
  });
}
TEST_P(MoveHarmed, all_edges_may_be_lost_at_any_step) {
  harm_after_every_step(options, [](World& world) {
    for (const PlaceIndex place : {1U, 2U, 3U}) world.kill(place);
  });
}
TEST_P(MoveHarmed, links_may_blink_at_any_step) {
  harm_after_every_step(options, [](World& world) {
    for (const PlaceIndex place : {2U, 1U}) {
      world.down(place);
      world.up(place);
    }
  });
}
TEST_P(MoveHarmed, homes_process_may_be_replaced_at_any_step) {
  harm_after_every_step(options, [](World& world) {
    world.kill(1);
    world.up(1);
  });
}
INSTANTIATE_TEST_SUITE_P(States, MoveHarmed, ::testing::Values(false, true),
                         [](const auto& run) { return run.param ? "with_state" : "without"; });

TEST(Relocation, a_new_version_that_does_not_take_the_state_leaves_the_old_one_serving) {
  World world({.has_state = true});
  world.up(1);
  world.move(1);
  world.send(1);
  world.settle();
  world.refuses_load = true;
  ASSERT_TRUE(world.fixed.move(1, 2, world.now).has_value());
  world.send(2);
  world.settle();
  ASSERT_EQ(world.reports.size(), 2U);
  EXPECT_FALSE(world.reports[1].result.has_value());
  EXPECT_EQ(world.places[1].ends.size(), 1U);
  world.send(3);
  world.settle();
  world.expect_answers(3);
  EXPECT_EQ(world.fixed.counters().recoveries, 0U);
}

TEST(Relocation, a_new_version_takes_over_at_the_same_place) {
  World world({.has_state = true});
  world.up(1);
  world.move(1);
  world.send(1);
  ASSERT_TRUE(world.fixed.move(1, 2, world.now).has_value());
  world.send(2);
  world.settle();
  world.send(3);
  world.settle();
  world.expect_answers(3);
  EXPECT_EQ(world.reports[1].module, 2U);
  ASSERT_EQ(world.places[1].ends.size(), 1U);
  EXPECT_EQ(world.places[1].modules.at(world.places[1].ends.begin()->first), 2U);
}

TEST(Relocation, a_destination_that_does_not_answer_is_given_up) {
  World world({.has_state = true, .step_timeout = 1s});
  world.up(1);
  ASSERT_TRUE(world.fixed.move(1, 0, world.now).has_value());
  EXPECT_EQ(world.fixed.wakes_at(), world.now + 1s);
  world.later(1s);
  ASSERT_EQ(world.reports.size(), 1U);
  EXPECT_EQ(world.reports[0].result.error().code, Errc::deadline_exceeded);
  // What it says afterwards is late.
  world.settle();
  EXPECT_EQ(world.fixed.home(), kHere);
  EXPECT_TRUE(world.places[1].ends.empty());
  world.send(1);
  world.settle();
  world.expect_answers(1);
}

TEST(Relocation, a_call_that_takes_too_long_ends_the_move_and_not_the_call) {
  World world({.has_state = true, .step_timeout = 1s});
  world.up(1);
  world.send(1);
  world.settle();
  world.send(2);
  world.deliver();
  ASSERT_TRUE(world.fixed.move(1, 0, world.now).has_value());
  world.deliver();
  world.later(1s);
  ASSERT_EQ(world.reports.size(), 1U);
  EXPECT_FALSE(world.reports[0].result.has_value());
  world.send(3);
  world.settle();
  world.expect_answers(3);
}

TEST(Relocation, one_move_at_a_time_to_a_place_that_is_there) {
  World world({.has_state = true});
  EXPECT_EQ(world.fixed.move(1, 0, world.now).error().code, Errc::unreachable);
  world.up(1);
  world.up(2);
  ASSERT_TRUE(world.fixed.move(1, 0, world.now).has_value());
  EXPECT_EQ(world.fixed.move(2, 0, world.now).error().code, Errc::refused);
  world.settle();
  // Where it is already.
  ASSERT_TRUE(world.fixed.move(1, 0, world.now).has_value());
  EXPECT_FALSE(world.fixed.moving());
  ASSERT_EQ(world.reports.size(), 2U);
  EXPECT_TRUE(world.reports[1].result.has_value());
  world.fixed.close({Errc::refused, "over"}, world.now);
  EXPECT_EQ(world.fixed.move(2, 0, world.now).error().code, Errc::refused);
}

TEST(Relocation, closing_in_a_move_reports_the_move_and_detaches_both_ends) {
  World world({.has_state = true});
  world.up(1);
  world.send(1);
  ASSERT_TRUE(world.fixed.move(1, 0, world.now).has_value());
  world.fixed.close({Errc::cancelled, "over"}, world.now);
  ASSERT_EQ(world.reports.size(), 1U);
  EXPECT_EQ(world.reports[0].result.error().code, Errc::cancelled);
  EXPECT_EQ(world.outcomes.size(), 1U);
  world.settle();
  EXPECT_TRUE(world.places[kHere].ends.empty());
  EXPECT_TRUE(world.places[1].ends.empty());
}

TEST(Relocation, a_destination_that_lies_is_given_up) {
  const std::vector<decltype(EndMessage::content)> lies{
      Installed{.version = 1, .final = true},
      Attached{.known = true, .received = 0},
      Answer{.sequence = 1, .error = {}, .body = testing::bytes_of(1)},
      SnapshotWanted{},
  };
  for (std::size_t i = 0; i < lies.size(); ++i) {
    SCOPED_TRACE(i);
    World world({.has_state = true});
    world.up(1);
    world.send(1);
    ASSERT_TRUE(world.fixed.move(1, 0, world.now).has_value());
    world.fixed.received(1, {.epoch = FixedEnd::kFirstEpoch + 1, .content = lies[i]}, world.now);
    ASSERT_EQ(world.reports.size(), 1U);
    EXPECT_EQ(world.reports[0].result.error().code, Errc::protocol);
    world.settle();
    EXPECT_EQ(world.fixed.home(), kHere);
    world.expect_answers(1);
  }
}

}  // namespace
}  // namespace aloft::channel
