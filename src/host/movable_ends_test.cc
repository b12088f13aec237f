#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/execution_handler.h"
#include "host/process/listening_socket.h"
#include "host/testing/counter_guest.h"
#include "host/testing/end_ue.h"
#include "support/temp_dir.h"

namespace aloft::host {
namespace {

using namespace std::chrono_literals;
using channel::Answer;
using channel::Attached;
using channel::Installed;
using channel::Lost;
using channel::State;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::EndUe;
using ::testing::Field;
using ::testing::HasSubstr;
using testing::number;

constexpr EndKey kFirst{.end = {std::byte{1}}, .epoch = 1};

// A handler in the test's own process and its UEs, over real sockets, with a real guest.
class MovableEndsTest : public ::testing::Test {
 protected:
  // Before the first use of the handler.
  ExecutionHandlerOptions options_;

  ExecutionHandler& handler() {
    if (handler_) return *handler_;
    options_.repository = repository_.path();
    options_.cache = cache_.path();
    options_.session.instance.memory_bytes = 16U << 20U;
    module_ = testing::add_counter_module(repository_.path(), "1");
    auto made = ExecutionHandler::create(options_, {.hand_over = [] {}, .end = [] {}});
    if (!made) ADD_FAILURE() << made.error().message;
    handler_ = std::move(made).value();
    auto socket = ListeningSocket::open({"127.0.0.1", 0});
    if (!socket) ADD_FAILURE() << socket.error().message;
    address_ = socket->address();
    EXPECT_TRUE(handler_->serve(socket->duplicate()));
    return *handler_;
  }
  // A UE that has the counter module open as number 1.
  std::unique_ptr<EndUe> connect() {
    (void)handler();
    auto ue = std::make_unique<EndUe>(address_);
    function::OpenModule request = module_;
    request.module_id = 1;
    if (auto opened = ue->open(request); !opened) ADD_FAILURE() << opened.error().message;
    return ue;
  }
  static function::AttachTerms object_terms() {
    return {.module_id = 1, .object_class = 0, .in_flight = 4, .has_state = true};
  }
  static function::AttachTerms function_terms() {
    return {.module_id = 1, .object_class = {}, .in_flight = 4, .has_state = false};
  }
  static channel::StateBlocks zero_state() {
    return {.version = 1,
            .base = 0,
            .at = 0,
            .size = testing::kStateSize,
            .blocks = {0, 1, 2, 3},
            .bytes = testing::shared(std::vector<std::byte>(testing::kStateSize))};
  }
  static void attach_object(EndUe& ue, const EndKey& key) {
    ue.attach(key, object_terms());
    const auto attached = ue.next<Attached>(key);
    ASSERT_TRUE(attached);
    EXPECT_FALSE(attached->known);
    ASSERT_TRUE(ue.send(key, {.content = channel::Install{zero_state(), true}}));
    const auto installed = ue.next<Installed>(key);
    ASSERT_TRUE(installed);
    EXPECT_TRUE(installed->final);
  }
  // The answer's number; the sequence has to be this one's.
  static std::uint32_t next_number(EndUe& ue, const EndKey& key, channel::Sequence sequence) {
    const auto answer = ue.next<Answer>(key);
    if (!answer || answer->error) {
      ADD_FAILURE() << (answer ? answer->error->message : "no answer");
      return 0;
    }
    EXPECT_EQ(answer->sequence, sequence);
    return number(*answer->body);
  }
  static std::optional<Errc> code(const std::optional<Lost>& lost) {
    if (!lost) return std::nullopt;
    return lost->why.code;
  }

  aloft::testing::TempDir repository_, cache_;
  net::Address address_;
  function::OpenModule module_;
  std::unique_ptr<ExecutionHandler> handler_;
};

TEST_F(MovableEndsTest, an_object_answers_in_order_what_is_delivered_in_order) {
  const auto ue = connect();
  attach_object(*ue, kFirst);
  constexpr std::uint32_t kMessages = 200;
  std::uint32_t sum = 0;
  for (std::uint32_t i = 1; i <= kMessages; ++i) {
    ASSERT_TRUE(ue->deliver(kFirst, i, testing::kAdd, number(i)));
  }
  for (std::uint32_t i = 1; i <= kMessages; ++i) {
    sum += i;
    EXPECT_EQ(next_number(*ue, kFirst, i), sum);
  }
}

TEST_F(MovableEndsTest, an_end_of_functions_serves_bodies_of_every_size) {
  const auto ue = connect();
  ue->attach(kFirst, function_terms());
  ASSERT_TRUE(ue->next<Attached>(kFirst));
  channel::Sequence sequence = 0;
  for (const std::size_t size : {0U, 1U, 70'000U, 3'000'000U, 10U}) {
    std::vector<std::byte> body(size, std::byte{42});
    ASSERT_TRUE(ue->deliver(kFirst, ++sequence, testing::kEcho, body));
    const auto answer = ue->next<Answer>(kFirst);
    ASSERT_TRUE(answer && !answer->error);
    EXPECT_EQ(*answer->body, body);
  }
  // More than the instance's memory: refused, and nothing else is harmed.
  ASSERT_TRUE(ue->deliver(kFirst, ++sequence, testing::kEcho, std::vector<std::byte>(20U << 20U)));
  const auto too_large = ue->next<Answer>(kFirst);
  ASSERT_TRUE(too_large && too_large->error);
  EXPECT_EQ(too_large->error->code, Errc::resource_exhausted);
  ASSERT_TRUE(ue->deliver(kFirst, ++sequence, testing::kEcho, number(5)));
  EXPECT_EQ(next_number(*ue, kFirst, sequence), 5U);
}

TEST_F(MovableEndsTest, a_ue_that_comes_back_finds_its_object_and_the_answers_that_were_lost) {
  auto ue = connect();
  attach_object(*ue, kFirst);
  for (std::uint32_t i = 1; i <= 3; ++i)
    ASSERT_TRUE(ue->deliver(kFirst, i, testing::kAdd, number(10)));
  EXPECT_EQ(next_number(*ue, kFirst, 1), 10U);
  EXPECT_EQ(next_number(*ue, kFirst, 2), 20U);
  EXPECT_EQ(next_number(*ue, kFirst, 3), 30U);

  ue = connect();
  ue->attach(kFirst, object_terms(), {.resume = true, .answered = 1});
  const auto attached = ue->next<Attached>(kFirst);
  ASSERT_TRUE(attached);
  EXPECT_TRUE(attached->known);
  EXPECT_EQ(attached->received, 3U);
  EXPECT_EQ(next_number(*ue, kFirst, 2), 20U);
  EXPECT_EQ(next_number(*ue, kFirst, 3), 30U);
  // Whatever is delivered twice is done once.
  ASSERT_TRUE(ue->deliver(kFirst, 3, testing::kAdd, number(10)));
  ASSERT_TRUE(ue->deliver(kFirst, 4, testing::kAdd, number(10)));
  EXPECT_EQ(next_number(*ue, kFirst, 3), 30U);
  EXPECT_EQ(next_number(*ue, kFirst, 4), 40U);
}

TEST_F(MovableEndsTest, a_call_that_runs_when_the_link_is_lost_is_answered_to_whoever_resumes) {
  auto ue = connect();
  attach_object(*ue, kFirst);
  ASSERT_TRUE(ue->deliver(kFirst, 1, testing::kBusy, number(300'000'000)));
  ASSERT_TRUE(ue->deliver(kFirst, 2, testing::kAdd, number(1)));
  // Both have come before the link goes: what was sent after them is answered.
  constexpr EndKey kNobody{.end = {std::byte{9}}, .epoch = 9};
  auto nowhere = object_terms();
  nowhere.module_id = 77;
  ue->attach(kNobody, nowhere);
  ASSERT_TRUE(ue->next<Lost>(kNobody));

  ue = connect();
  ue->attach(kFirst, object_terms(), {.resume = true, .answered = 0});
  const auto attached = ue->next<Attached>(kFirst);
  ASSERT_TRUE(attached && attached->known);
  EXPECT_EQ(next_number(*ue, kFirst, 1), 1U);
  EXPECT_EQ(next_number(*ue, kFirst, 2), 2U);
}

TEST_F(MovableEndsTest, an_end_belongs_to_the_connection_that_resumed_it_last) {
  const auto first = connect();
  attach_object(*first, kFirst);
  ASSERT_TRUE(first->deliver(kFirst, 1, testing::kAdd, number(1)));
  EXPECT_EQ(next_number(*first, kFirst, 1), 1U);

  const auto second = connect();
  second->attach(kFirst, object_terms(), {.resume = true, .answered = 1});
  const auto attached = second->next<Attached>(kFirst);
  ASSERT_TRUE(attached && attached->known);
  ASSERT_TRUE(first->deliver(kFirst, 2, testing::kAdd, number(100)));
  EXPECT_TRUE(first->wait_reset(kFirst));
  ASSERT_TRUE(second->deliver(kFirst, 2, testing::kAdd, number(1)));
  EXPECT_EQ(next_number(*second, kFirst, 2), 2U);
  EXPECT_EQ(first->unheard(kFirst), 0U);
}

TEST_F(MovableEndsTest, an_end_that_nobody_comes_back_for_is_gone_when_the_grace_is_over) {
  options_.ends.grace = 50ms;
  auto ue = connect();
  attach_object(*ue, kFirst);
  // Even one that would run on for ever.
  ASSERT_TRUE(ue->deliver(kFirst, 1, testing::kSpin, {}));
  EXPECT_EQ(handler().ends().size(), 1U);
  ue.reset();
  EXPECT_TRUE(handler().ends().wait_until_gone(10s));

  ue = connect();
  ue->attach(kFirst, object_terms(), {.resume = true, .answered = 0});
  const auto attached = ue->next<Attached>(kFirst);
  ASSERT_TRUE(attached);
  EXPECT_FALSE(attached->known);
  EXPECT_EQ(handler().ends().size(), 0U);
}

TEST_F(MovableEndsTest, an_object_that_traps_says_why_and_is_recovered_from_a_checkpoint) {
  const auto ue = connect();
  attach_object(*ue, kFirst);
  ASSERT_TRUE(ue->deliver(kFirst, 1, testing::kAdd, number(5)));
  EXPECT_EQ(next_number(*ue, kFirst, 1), 5U);
  ASSERT_TRUE(ue->send(kFirst, {.content = channel::SnapshotWanted{}}));
  const auto checkpoint = ue->next<State>(kFirst);
  ASSERT_TRUE(checkpoint);
  ASSERT_TRUE(ue->deliver(kFirst, 2, testing::kAbort, {}));
  const auto answer = ue->next<Answer>(kFirst);
  ASSERT_TRUE(answer && answer->error);
  EXPECT_EQ(answer->sequence, 2U);
  EXPECT_EQ(answer->error->code, Errc::trapped);
  EXPECT_EQ(answer->error->message, "call aborted: no luck");
  EXPECT_EQ(code(ue->next<Lost>(kFirst)), Errc::trapped);
  EXPECT_THAT(ue->log(),
              Contains(Field(&function::GuestLog::line, HasSubstr("call aborted: no luck"))));
  EXPECT_THAT(ue->log(), Contains(Field(&function::GuestLog::line, HasSubstr("fn_abort"))));
  EXPECT_TRUE(handler().ends().wait_until_gone(10s));

  constexpr EndKey kSecond{.end = kFirst.end, .epoch = 2};
  ue->attach(kSecond, object_terms());
  ASSERT_TRUE(ue->next<Attached>(kSecond));
  ASSERT_TRUE(ue->send(kSecond, {.content = channel::Install{checkpoint->state, true}}));
  ASSERT_TRUE(ue->next<Installed>(kSecond));
  ASSERT_TRUE(ue->deliver(kSecond, 3, testing::kAdd, number(1)));
  EXPECT_EQ(next_number(*ue, kSecond, 3), 6U);
}

TEST_F(MovableEndsTest, functions_that_trap_or_run_out_of_time_leave_their_end_serving) {
  options_.session.call = 100ms;
  const auto ue = connect();
  ue->attach(kFirst, function_terms());
  ASSERT_TRUE(ue->next<Attached>(kFirst));
  const auto failed = [&](channel::Sequence sequence, std::uint32_t method) {
    EXPECT_TRUE(ue->deliver(kFirst, sequence, method, number(1)));
    const auto answer = ue->next<Answer>(kFirst);
    return answer && answer->error ? std::optional(answer->error->code) : std::nullopt;
  };
  EXPECT_EQ(failed(1, testing::kAbort), Errc::trapped);
  EXPECT_EQ(failed(2, testing::kSpin), Errc::deadline_exceeded);
  EXPECT_EQ(failed(3, testing::kRefuse), Errc::protocol);
  EXPECT_EQ(failed(4, 99), Errc::invalid_argument);
  ASSERT_TRUE(ue->deliver(kFirst, 5, testing::kEcho, number(8)));
  EXPECT_EQ(next_number(*ue, kFirst, 5), 8U);
}

TEST_F(MovableEndsTest, a_state_moves_in_changed_blocks_between_two_ends_while_the_old_one_serves) {
  const auto ue = connect();
  attach_object(*ue, kFirst);
  ASSERT_TRUE(ue->deliver(kFirst, 1, testing::kAdd, number(3)));
  EXPECT_EQ(next_number(*ue, kFirst, 1), 3U);
  ASSERT_TRUE(ue->send(kFirst, {.content = channel::SnapshotWanted{.base = 0}}));
  const auto whole = ue->next<State>(kFirst);
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->state.size, testing::kStateSize);
  EXPECT_THAT(whole->state.blocks, ElementsAre(0, 1, 2, 3));

  // The new place is made and gets its copy, the old one serves on.
  constexpr EndKey kSecond{.end = kFirst.end, .epoch = 2};
  ue->attach(kSecond, object_terms());
  ASSERT_TRUE(ue->next<Attached>(kSecond));
  ASSERT_TRUE(ue->send(kSecond, {.content = channel::Install{whole->state, false}}));
  const auto copied = ue->next<Installed>(kSecond);
  ASSERT_TRUE(copied);
  EXPECT_FALSE(copied->final);
  ASSERT_TRUE(ue->deliver(kFirst, 2, testing::kMark, number(2)));
  EXPECT_EQ(next_number(*ue, kFirst, 2), 3U);

  ASSERT_TRUE(ue->send(kFirst, {.content = channel::SnapshotWanted{.base = whole->state.version}}));
  const auto changes = ue->next<State>(kFirst);
  ASSERT_TRUE(changes);
  EXPECT_EQ(changes->state.at, 2U);
  EXPECT_EQ(changes->state.base, whole->state.version);
  EXPECT_THAT(changes->state.blocks, ElementsAre(2));
  EXPECT_EQ(changes->state.bytes->size(), channel::kStateBlock);
  ASSERT_TRUE(ue->send(kSecond, {.content = channel::Install{changes->state, true}}));
  const auto installed = ue->next<Installed>(kSecond);
  ASSERT_TRUE(installed && installed->final);
  ASSERT_TRUE(ue->send(kFirst, {.content = channel::Detach{}}));
  ASSERT_TRUE(ue->deliver(kSecond, 3, testing::kAdd, number(1)));
  EXPECT_EQ(next_number(*ue, kSecond, 3), 4U);

  // What arrived is what left, block for block.
  ASSERT_TRUE(ue->send(kSecond, {.content = channel::SnapshotWanted{.base = 0}}));
  const auto arrived = ue->next<State>(kSecond);
  ASSERT_TRUE(arrived);
  auto expected = *whole->state.bytes;
  std::ranges::copy(*changes->state.bytes,
                    expected.begin() + 2 * static_cast<std::ptrdiff_t>(channel::kStateBlock));
  expected[0] = std::byte{4};
  EXPECT_EQ(*arrived->state.bytes, expected);
}

TEST_F(MovableEndsTest, a_state_that_does_not_decode_ends_its_end_only) {
  const auto ue = connect();
  attach_object(*ue, kFirst);
  constexpr EndKey kSecond{.end = kFirst.end, .epoch = 2};
  ue->attach(kSecond, object_terms());
  ASSERT_TRUE(ue->next<Attached>(kSecond));
  ASSERT_TRUE(ue->send(kSecond, {.content = channel::Install{{.version = 1,
                                                              .base = 0,
                                                              .at = 0,
                                                              .size = 4,
                                                              .blocks = {0},
                                                              .bytes = testing::shared(number(1))},
                                                             true}}));
  EXPECT_EQ(code(ue->next<Lost>(kSecond)), Errc::protocol);
  ASSERT_TRUE(ue->deliver(kFirst, 1, testing::kAdd, number(1)));
  EXPECT_EQ(next_number(*ue, kFirst, 1), 1U);
}

TEST_F(MovableEndsTest, what_cannot_be_attached_is_refused_and_said_why) {
  const auto ue = connect();
  const EndKey unknown_module{.end = {std::byte{7}}, .epoch = 1};
  auto terms = object_terms();
  terms.module_id = 5;
  ue->attach(unknown_module, terms);
  EXPECT_EQ(code(ue->next<Lost>(unknown_module)), Errc::not_found);
  const EndKey unknown_class{.end = {std::byte{8}}, .epoch = 1};
  terms = object_terms();
  terms.object_class = 3;
  ue->attach(unknown_class, terms);
  EXPECT_EQ(code(ue->next<Lost>(unknown_class)), Errc::not_found);

  attach_object(*ue, kFirst);
  ue->attach(kFirst, object_terms());
  EXPECT_EQ(code(ue->next<Lost>(kFirst)), Errc::refused);
}

TEST_F(MovableEndsTest, ends_are_bounded_and_room_is_made_by_those_that_go) {
  options_.ends.session_ends = 2;
  const auto ue = connect();
  const auto key = [](int of) { return EndKey{.end = {static_cast<std::byte>(of)}, .epoch = 1}; };
  attach_object(*ue, key(1));
  attach_object(*ue, key(2));
  ue->attach(key(3), object_terms());
  EXPECT_EQ(code(ue->next<Lost>(key(3))), Errc::overloaded);
  const auto other = connect();
  attach_object(*other, key(4));
  ASSERT_TRUE(ue->send(key(1), {.content = channel::Detach{}}));
  attach_object(*ue, key(5));
}

TEST_F(MovableEndsTest, an_end_that_is_sent_more_than_this_edge_keeps_is_lost) {
  options_.ends.bytes = 1U << 20U;
  const auto ue = connect();
  ue->attach(kFirst, function_terms());
  ASSERT_TRUE(ue->next<Attached>(kFirst));
  ASSERT_TRUE(ue->deliver(kFirst, 1, testing::kEcho, std::vector<std::byte>(2U << 20U)));
  EXPECT_EQ(code(ue->next<Lost>(kFirst)), Errc::overloaded);
  EXPECT_TRUE(handler().ends().wait_until_gone(10s));
}

TEST_F(MovableEndsTest, a_stream_with_a_message_that_it_does_not_carry_ends_its_end_only) {
  const auto ue = connect();
  constexpr EndKey kSecond{.end = {std::byte{2}}, .epoch = 1};
  attach_object(*ue, kFirst);
  attach_object(*ue, kSecond);
  const auto head = function::encode(function::CancelCall{1});
  ASSERT_TRUE(
      ue->endpoint().send({.stream = ue->streams_of(kFirst).stream, .head = head, .body = {}}));
  EXPECT_EQ(code(ue->next<Lost>(kFirst)), Errc::protocol);
  ASSERT_TRUE(ue->deliver(kSecond, 1, testing::kAdd, number(1)));
  EXPECT_EQ(next_number(*ue, kSecond, 1), 1U);
}

TEST_F(MovableEndsTest, two_versions_of_a_module_serve_in_one_session) {
  const auto ue = connect();
  attach_object(*ue, kFirst);
  auto newer = testing::add_counter_module(repository_.path(), "2");
  ASSERT_NE(newer.digest, module_.digest);
  newer.module_id = 2;
  const auto opened = ue->open(newer);
  ASSERT_TRUE(opened) << opened.error().message;
  constexpr EndKey kSecond{.end = kFirst.end, .epoch = 2};
  auto terms = object_terms();
  terms.module_id = 2;
  ue->attach(kSecond, terms);
  ASSERT_TRUE(ue->next<Attached>(kSecond));
  ASSERT_TRUE(ue->deliver(kFirst, 1, testing::kAdd, number(1)));
  EXPECT_EQ(next_number(*ue, kFirst, 1), 1U);
  ASSERT_TRUE(ue->send(kFirst, {.content = channel::SnapshotWanted{}}));
  const auto state = ue->next<State>(kFirst);
  ASSERT_TRUE(state);
  ASSERT_TRUE(ue->send(kSecond, {.content = channel::Install{state->state, true}}));
  ASSERT_TRUE(ue->next<Installed>(kSecond));
  ASSERT_TRUE(ue->deliver(kSecond, 2, testing::kAdd, number(1)));
  EXPECT_EQ(next_number(*ue, kSecond, 2), 2U);
}

TEST_F(MovableEndsTest, an_edge_that_ends_waits_for_no_end) {
  const auto ue = connect();
  attach_object(*ue, kFirst);
  ASSERT_TRUE(ue->deliver(kFirst, 1, testing::kSpin, {}));
  const auto started = std::chrono::steady_clock::now();
  handler_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - started, 5s);
}

}  // namespace
}  // namespace aloft::host
