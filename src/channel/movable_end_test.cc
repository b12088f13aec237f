#include "channel/movable_end.h"

#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "channel/state_blocks.h"

namespace aloft::channel {
namespace {

SharedBytes body(std::size_t size = 8, int fill = 1) {
  return std::make_shared<const Bytes>(size, static_cast<std::byte>(fill));
}

// An end whose host and port only write down what they are told.
struct Recorded final : MovableEndHost, MovableEndPort {
  explicit Recorded(MovableEndOptions options) : end(kEpoch, options, *this, *this) {}

  void execute(Sequence sequence, std::uint32_t, SharedBytes) override {
    executed.push_back(sequence);
  }
  void save() override { ++saves; }
  void load(SharedBytes state) override { loading = std::move(state); }
  void transmit(EndMessage message) override {
    EXPECT_EQ(message.epoch, kEpoch);
    sent.push_back(std::move(message));
  }

  template <class Content>
  void receives(Content content) {
    end.received({.epoch = kEpoch, .content = std::move(content)});
  }
  void deliver(Sequence sequence, Sequence answered = 0, std::size_t size = 8) {
    receives(Deliver{.sequence = sequence, .method = 0, .body = body(size), .answered = answered});
  }
  // What was sent since the last time, which is one message of this kind.
  template <class Content>
  Content only() {
    EXPECT_EQ(sent.size(), 1U);
    const auto* const content = sent.empty() ? nullptr : std::get_if<Content>(&sent.back().content);
    EXPECT_NE(content, nullptr);
    Content copy = content == nullptr ? Content{} : *content;
    sent.clear();
    return copy;
  }
  // Attached, and with a state of one block installed as that after message `at`.
  void with_state(Sequence at) {
    receives(Attach{});
    receives(Install{.state = whole_state(1, at, body(100)), .final = true});
    end.loaded({});
    sent.clear();
  }

  static constexpr Epoch kEpoch = 5;
  std::vector<Sequence> executed;
  int saves = 0;
  SharedBytes loading;
  std::vector<EndMessage> sent;
  MovableEnd end;
};

TEST(MovableEnd, is_attached_and_runs_one_message_at_a_time) {
  Recorded a({});
  a.receives(Attach{});
  EXPECT_FALSE(a.only<Attached>().known);
  a.deliver(4);  // another attachment had those before
  a.deliver(5);
  EXPECT_EQ(a.executed, (std::vector<Sequence>{4}));
  EXPECT_FALSE(a.end.idle());
  a.end.executed(body(), true);
  EXPECT_EQ(a.only<Answer>().sequence, 4U);
  EXPECT_EQ(a.executed, (std::vector<Sequence>{4, 5}));
  a.end.executed(fail(Errc::invalid_argument, "no"), true);
  const Answer answer = a.only<Answer>();
  EXPECT_EQ(answer.error->code, Errc::invalid_argument);
  EXPECT_EQ(answer.body, nullptr);
  EXPECT_TRUE(a.end.idle());
  EXPECT_FALSE(a.end.detached());
}

TEST(MovableEnd, a_repeated_delivery_is_answered_again_and_not_run_again) {
  Recorded a({});
  a.receives(Attach{});
  a.deliver(1);
  a.deliver(1);
  a.end.executed(body(), true);
  a.sent.clear();
  a.deliver(1);
  EXPECT_EQ(a.only<Answer>().sequence, 1U);
  a.receives(Acknowledge{.answered = 1});
  a.deliver(1);
  EXPECT_TRUE(a.sent.empty());
  EXPECT_EQ(a.executed, (std::vector<Sequence>{1}));
}

TEST(MovableEnd, a_resume_says_what_came_and_repeats_answers_that_did_not) {
  Recorded a({});
  a.receives(Attach{});
  for (Sequence i = 1; i <= 4; ++i) a.deliver(i);
  a.end.executed(body(), true);
  a.end.executed(body(), true);
  a.end.link_down();
  a.end.executed(body(), true);
  a.sent.clear();
  a.receives(Attach{.resume = true, .answered = 1});
  ASSERT_EQ(a.sent.size(), 3U);
  EXPECT_TRUE(std::get<Attached>(a.sent[0].content).known);
  EXPECT_EQ(std::get<Attached>(a.sent[0].content).received, 4U);
  EXPECT_EQ(std::get<Answer>(a.sent[1].content).sequence, 2U);
  EXPECT_EQ(std::get<Answer>(a.sent[2].content).sequence, 3U);
}

TEST(MovableEnd, nothing_is_sent_while_there_is_no_link) {
  Recorded a({});
  a.receives(Attach{});
  a.deliver(1);
  a.sent.clear();
  a.end.link_down();
  a.end.executed(body(), true);
  EXPECT_TRUE(a.sent.empty());
}

TEST(MovableEnd, an_end_that_never_served_is_not_resumed) {
  Recorded a({.has_state = true});
  a.receives(Attach{});
  a.sent.clear();
  a.receives(Attach{.resume = true, .answered = 0});
  EXPECT_FALSE(a.only<Attached>().known);
  EXPECT_TRUE(a.end.detached());
  EXPECT_FALSE(std::get<Attached>(MovableEnd::unknown(3).content).known);
  EXPECT_EQ(MovableEnd::unknown(3).epoch, 3U);
}

TEST(MovableEnd, a_state_is_put_together_and_loaded_once_it_is_final) {
  Recorded a({.has_state = true});
  a.receives(Attach{});
  a.sent.clear();
  const SharedBytes first = body(3 * kStateBlock, 1);
  auto second = std::make_shared<Bytes>(*first);
  second->back() = std::byte{9};
  a.receives(Install{.state = whole_state(1, 6, first), .final = false});
  EXPECT_FALSE(a.only<Installed>().final);
  EXPECT_EQ(a.loading, nullptr);
  a.receives(Install{.state = changed_blocks(1, *first, 2, 8, second), .final = true});
  ASSERT_NE(a.loading, nullptr);
  EXPECT_EQ(*a.loading, *second);
  EXPECT_TRUE(a.sent.empty());
  a.end.loaded({});
  const Installed installed = a.only<Installed>();
  EXPECT_EQ(installed.version, 2U);
  EXPECT_TRUE(installed.final);
  a.deliver(8);  // in the state already
  a.deliver(9);
  EXPECT_EQ(a.executed, (std::vector<Sequence>{9}));
}

TEST(MovableEnd, a_state_that_cannot_be_loaded_ends_it) {
  Recorded a({.has_state = true});
  a.receives(Attach{});
  a.receives(Install{.state = whole_state(1, 0, body()), .final = true});
  a.sent.clear();
  a.end.loaded(fail(Errc::protocol, "another type"));
  EXPECT_EQ(a.only<Lost>().why.message, "another type");
  EXPECT_TRUE(a.end.detached());
}

TEST(MovableEnd, a_snapshot_is_taken_between_two_calls) {
  Recorded a({.has_state = true});
  a.with_state(0);
  a.deliver(1);
  a.deliver(2);
  a.receives(SnapshotWanted{.base = 0});
  EXPECT_EQ(a.saves, 0);
  a.end.executed(body(), true);
  EXPECT_EQ(a.saves, 1);
  EXPECT_EQ(a.executed, (std::vector<Sequence>{1}));
  a.sent.clear();
  a.end.saved(body(5000));
  const State state = a.only<State>();
  EXPECT_EQ(state.state.at, 1U);
  EXPECT_EQ(state.state.base, 0U);
  EXPECT_EQ(state.state.version, 2U);
  EXPECT_EQ(a.executed, (std::vector<Sequence>{1, 2}));
}

TEST(MovableEnd, a_snapshot_tells_changes_against_what_both_have) {
  Recorded a({.has_state = true});
  a.receives(Attach{});
  const SharedBytes first = body(3 * kStateBlock, 1);
  a.receives(Install{.state = whole_state(1, 0, first), .final = true});
  a.end.loaded({});
  auto second = std::make_shared<Bytes>(*first);
  second->front() = std::byte{2};
  a.sent.clear();
  a.receives(SnapshotWanted{.base = 1});
  a.end.saved(second);
  const State changes = a.only<State>();
  EXPECT_EQ(changes.state.base, 1U);
  EXPECT_EQ(changes.state.blocks, (std::vector<std::uint32_t>{0}));
  // The peer did not get that one: it still has version 1, which is not kept here.
  a.receives(SnapshotWanted{.base = 1});
  a.end.saved(second);
  EXPECT_EQ(a.only<State>().state.base, 0U);
}

TEST(MovableEnd, a_snapshot_that_was_wanted_before_the_link_was_lost_is_not_sent) {
  Recorded a({.has_state = true});
  a.with_state(0);
  a.receives(SnapshotWanted{.base = 1});
  a.end.link_down();
  a.receives(Attach{.resume = true, .answered = 0});
  a.sent.clear();
  a.end.saved(body(100, 2));
  EXPECT_TRUE(a.sent.empty());
  a.receives(SnapshotWanted{.base = 1});
  a.end.saved(body(100, 2));
  EXPECT_EQ(a.only<State>().state.version, 2U);
}

TEST(MovableEnd, a_trap_is_answered_and_then_it_is_lost) {
  Recorded a({.has_state = true});
  a.with_state(0);
  a.deliver(1);
  a.deliver(2);
  a.end.executed(fail(Errc::trapped, "unreachable"), false);
  ASSERT_EQ(a.sent.size(), 2U);
  EXPECT_EQ(std::get<Answer>(a.sent[0].content).error->code, Errc::trapped);
  EXPECT_EQ(std::get<Lost>(a.sent[1].content).why.code, Errc::trapped);
  EXPECT_TRUE(a.end.detached());
  EXPECT_EQ(a.executed, (std::vector<Sequence>{1}));
}

TEST(MovableEnd, a_trap_without_a_link_waits_for_somebody_to_hear_of_it) {
  Recorded a({.has_state = true});
  a.with_state(0);
  a.deliver(1);
  a.end.link_down();
  a.end.executed(fail(Errc::trapped, "unreachable"), false);
  EXPECT_FALSE(a.end.detached());
  a.receives(Attach{.resume = true, .answered = 0});
  ASSERT_EQ(a.sent.size(), 3U);
  EXPECT_TRUE(std::get<Attached>(a.sent[0].content).known);
  EXPECT_EQ(std::get<Answer>(a.sent[1].content).sequence, 1U);
  EXPECT_EQ(std::get<Lost>(a.sent[2].content).why.code, Errc::trapped);
  EXPECT_TRUE(a.end.detached());
}

TEST(MovableEnd, more_than_it_may_keep_ends_it) {
  Recorded many({.max_held = 2});
  many.receives(Attach{});
  many.deliver(1);
  many.end.executed(body(), true);
  many.deliver(2);
  many.sent.clear();
  many.deliver(3);
  EXPECT_EQ(many.only<Lost>().why.code, Errc::overloaded);
  Recorded large({.max_held_bytes = 100});
  large.receives(Attach{});
  large.deliver(1, 0, 1000);  // one is always taken; it runs, and is the host's
  large.deliver(2, 0, 60);
  large.sent.clear();
  large.deliver(3, 0, 60);
  EXPECT_EQ(large.only<Lost>().why.code, Errc::overloaded);
}

TEST(MovableEnd, no_more_is_run_than_answers_are_taken) {
  Recorded a({.max_held_bytes = 1000});
  a.receives(Attach{});
  for (Sequence i = 1; i <= 3; ++i) a.deliver(i);
  a.end.executed(body(2 * kAcknowledgeBytes), true);
  EXPECT_EQ(a.executed, (std::vector<Sequence>{1}));
  a.receives(Acknowledge{.answered = 1});
  EXPECT_EQ(a.executed, (std::vector<Sequence>{1, 2}));
}

TEST(MovableEnd, what_its_owner_ran_counts_as_run) {
  Recorded a({.has_state = true, .serves = true});
  a.end.skip(1);
  a.deliver(1);
  a.deliver(2);
  EXPECT_EQ(a.executed, (std::vector<Sequence>{2}));
}

TEST(MovableEnd, a_detached_end_says_and_does_nothing_more) {
  Recorded a({});
  a.receives(Attach{});
  a.deliver(1);
  a.deliver(2);
  a.sent.clear();
  a.receives(Detach{});
  EXPECT_TRUE(a.end.detached());
  a.end.executed(body(), true);
  a.deliver(3);
  EXPECT_TRUE(a.sent.empty());
  EXPECT_EQ(a.executed, (std::vector<Sequence>{1}));
}

TEST(MovableEnd, messages_of_another_epoch_are_none_of_its) {
  Recorded a({});
  a.receives(Attach{});
  a.end.received({.epoch = 4, .content = Deliver{.sequence = 1, .body = body()}});
  a.end.received({.epoch = 4, .content = Detach{}});
  EXPECT_TRUE(a.executed.empty());
  EXPECT_FALSE(a.end.detached());
}

TEST(MovableEnd, what_no_honest_end_says_ends_it) {
  const Install whole{.state = whole_state(1, 0, body()), .final = false};
  Install without_bytes = whole;
  without_bytes.state.bytes = nullptr;
  Install on_nothing = whole;
  on_nothing.state.base = 3;
  const std::vector<std::vector<decltype(EndMessage::content)>> lies{
      {Attach{}, Attach{}},
      {Deliver{.sequence = 1, .body = body()}},
      {Attach{}, Deliver{.sequence = 1, .body = body()}},  // before its state
      {Attach{}, SnapshotWanted{}},
      {whole},
      {Attach{}, without_bytes},
      {Attach{}, on_nothing},
      {Attach{}, whole, whole},
      {Attach{}, Answer{}},
      {Attach{}, Attached{}},
      {Attach{}, Lost{}},
  };
  for (std::size_t i = 0; i < lies.size(); ++i) {
    SCOPED_TRACE(i);
    Recorded a({.has_state = true});
    for (const auto& message : lies[i]) a.receives(message);
    // Before Attach there is no link to say it on.
    if (std::holds_alternative<Attach>(lies[i][0])) {
      ASSERT_FALSE(a.sent.empty());
      EXPECT_EQ(std::get<Lost>(a.sent.back().content).why.code, Errc::protocol);
      EXPECT_TRUE(a.end.detached());
    }
    EXPECT_TRUE(a.executed.empty());
  }
  Recorded a({});
  a.receives(Attach{});
  a.receives(Deliver{.sequence = 0, .body = body()});
  EXPECT_TRUE(a.end.detached());
}

}  // namespace
}  // namespace aloft::channel
