// Scripts of what happens to the call streams of a module, without a link and without threads.
#include "function/call_streams.h"

#include <deque>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

namespace aloft::function {
namespace {

using GiveUp = CallStreams::GiveUp;
using Kind = CallStreams::Step::Kind;

constexpr channel::StreamId kStreams[] = {16, 17};

class FakeCall final : public RemoteCall {
 public:
  explicit FakeCall(std::uint64_t number, std::uint64_t bytes = 100) {
    request.number = number;
    request.argument_bytes = bytes;
  }
  void on_ended() override {}
};

class CallStreamsTest : public testing::Test {
 protected:
  CallStreamsTest() { streams_.open(kStreams); }

  void credit(channel::StreamId stream, std::uint64_t capacity = 1000) {
    EXPECT_EQ(streams_.on_credit(stream, capacity), nullptr);
  }
  void add(FakeCall& call) { EXPECT_TRUE(streams_.add(call)); }
  // The next step, which must be this one.
  void expect_step(Kind kind, channel::StreamId stream, const FakeCall& call) {
    const auto step = streams_.next();
    ASSERT_TRUE(step.has_value());
    EXPECT_EQ(step->kind, kind);
    EXPECT_EQ(step->stream, stream);
    EXPECT_EQ(step->call, &call);
  }
  void expect_nothing_to_send() { EXPECT_FALSE(streams_.next().has_value()); }
  RemoteCall* return_for(channel::StreamId stream, std::uint64_t number) {
    (void)streams_.on_return_begin(stream, Return{.call_id = number}, 8, 50);
    return streams_.on_return_end(stream);
  }

  CallStreams streams_{{.calls = 4, .waiting = 2}};
};

TEST_F(CallStreamsTest, a_call_waits_for_a_credit_and_takes_the_lowest_stream) {
  FakeCall call(1);
  add(call);
  expect_nothing_to_send();
  credit(17);
  credit(16);
  expect_step(Kind::call, 16, call);
  expect_nothing_to_send();
}

TEST_F(CallStreamsTest, a_call_ends_when_it_was_read_and_its_return_came) {
  FakeCall call(1);
  credit(16);
  add(call);
  expect_step(Kind::call, 16, call);
  EXPECT_EQ(streams_.on_sent(16), nullptr);
  EXPECT_EQ(return_for(16, 1), &call);
  EXPECT_TRUE(call.reply.outcome.has_value());
  EXPECT_EQ(call.reply.body_size, 8U);
  EXPECT_EQ(call.reply.rx_bytes, 50U);
}

TEST_F(CallStreamsTest, a_return_before_the_arguments_were_read_ends_the_call_only_after) {
  FakeCall call(1);
  credit(16);
  add(call);
  expect_step(Kind::call, 16, call);
  EXPECT_EQ(return_for(16, 1), nullptr);
  EXPECT_EQ(streams_.on_sent(16), &call);
  EXPECT_TRUE(call.reply.outcome.has_value());
}

TEST_F(CallStreamsTest, a_stream_carries_the_next_call_only_after_the_next_credit) {
  FakeCall first(1);
  FakeCall second(2);
  credit(16);
  add(first);
  expect_step(Kind::call, 16, first);
  add(second);
  EXPECT_EQ(streams_.on_sent(16), nullptr);
  EXPECT_EQ(return_for(16, 1), &first);
  expect_nothing_to_send();
  credit(16);
  expect_step(Kind::call, 16, second);
}

TEST_F(CallStreamsTest, no_more_calls_are_on_the_way_than_allowed_and_no_more_wait) {
  CallStreams streams{{.calls = 1, .waiting = 2}};
  streams.open(kStreams);
  EXPECT_EQ(streams.on_credit(16, 1000), nullptr);
  EXPECT_EQ(streams.on_credit(17, 1000), nullptr);
  FakeCall first(1);
  FakeCall second(2);
  FakeCall third(3);
  FakeCall fourth(4);
  EXPECT_TRUE(streams.add(first));
  EXPECT_TRUE(streams.next().has_value());
  EXPECT_TRUE(streams.add(second));
  EXPECT_TRUE(streams.add(third));
  EXPECT_FALSE(streams.next().has_value()) << "one is on the way";
  EXPECT_FALSE(streams.add(fourth)) << "two wait";
}

// Two instances of two buffers each: 16 and 18 are those of the first, 17 and 19 of the second.
class CallsOnInstances : public testing::Test {
 protected:
  static constexpr channel::StreamId kFour[] = {16, 17, 18, 19};
  CallsOnInstances() {
    streams_.open(kFour, 2);
    for (const channel::StreamId stream : kFour) credit(stream);
  }

  FakeCall& call(const FunctionDescriptor& function) {
    FakeCall& made = calls_.emplace_back(calls_.size());
    made.request.function = &function;
    return made;
  }
  void credit(channel::StreamId stream) { EXPECT_EQ(streams_.on_credit(stream, 1000), nullptr); }
  // The stream that the next call of this function leaves on.
  channel::StreamId sent_on(const FunctionDescriptor& function) {
    EXPECT_TRUE(streams_.add(call(function)));
    const auto step = streams_.next();
    EXPECT_TRUE(step.has_value());
    EXPECT_EQ(streams_.on_sent(step->stream), nullptr);
    return step->stream;
  }
  void returned(channel::StreamId stream, std::uint64_t run_us) {
    const std::uint64_t number = streams_.call_on(stream)->request.number;
    (void)streams_.on_return_begin(stream, Return{.call_id = number, .run_us = run_us}, 8, 50);
    EXPECT_NE(streams_.on_return_end(stream), nullptr);
    credit(stream);
  }

  static FunctionDescriptor function(std::uint32_t index) {
    FunctionDescriptor made;
    made.index = index;
    return made;
  }

  const FunctionDescriptor lasting_ = function(0);
  const FunctionDescriptor brief_ = function(1);
  std::deque<FakeCall> calls_;
  CallStreams streams_{{.calls = 4, .waiting = 4}};
};

TEST_F(CallsOnInstances, they_are_spread) {
  EXPECT_EQ(sent_on(lasting_), 16U);
  EXPECT_EQ(sent_on(lasting_), 17U);
  EXPECT_EQ(sent_on(lasting_), 18U);
  returned(17, 5000);
  EXPECT_EQ(sent_on(lasting_), 17U) << "the first instance has two";
  returned(16, 5000);
  returned(18, 5000);
  EXPECT_EQ(sent_on(lasting_), 16U);
}

TEST_F(CallsOnInstances, those_of_a_function_that_takes_no_time_stay_together) {
  returned(sent_on(brief_), 3);
  EXPECT_EQ(sent_on(brief_), 16U);
  EXPECT_EQ(sent_on(brief_), 18U);
  EXPECT_EQ(sent_on(brief_), 17U) << "the first instance has no more room";
  returned(17, 3);
  returned(18, 3);
  EXPECT_EQ(sent_on(brief_), 18U);
  returned(18, 900);
  EXPECT_EQ(sent_on(brief_), 17U) << "it takes time after all";
}

TEST_F(CallsOnInstances, those_that_take_no_time_wait_for_none_that_does) {
  returned(sent_on(brief_), 3);
  EXPECT_EQ(sent_on(lasting_), 16U);
  EXPECT_EQ(sent_on(brief_), 17U);
  EXPECT_EQ(sent_on(brief_), 19U);
}

TEST_F(CallStreamsTest, arguments_larger_than_any_credit_ask_for_room_first) {
  FakeCall call(1, 5000);
  credit(16);
  credit(17, 4000);
  add(call);
  expect_step(Kind::need_capacity, 16, call);
  expect_nothing_to_send();
  credit(16, 5000);
  expect_step(Kind::call, 16, call);
}

TEST_F(CallStreamsTest, a_stream_with_room_is_taken_before_one_that_would_have_to_grow) {
  FakeCall call(1, 5000);
  credit(16);
  credit(17, 8000);
  add(call);
  expect_step(Kind::call, 17, call);
}

TEST_F(CallStreamsTest, a_call_that_the_edge_has_no_room_for_ends_and_its_stream_goes_on) {
  FakeCall large(1, 5000);
  credit(16);
  add(large);
  expect_step(Kind::need_capacity, 16, large);
  EXPECT_EQ(streams_.on_failed(16, {Errc::resource_exhausted, "the instance may have 256 MiB"}),
            &large);
  EXPECT_EQ(large.reply.outcome.error().code, Errc::resource_exhausted);
  credit(16);
  FakeCall small(2);
  add(small);
  expect_step(Kind::call, 16, small);
}

TEST_F(CallStreamsTest, a_credit_that_did_not_grow_enough_ends_the_call) {
  FakeCall large(1, 5000);
  credit(16);
  add(large);
  expect_step(Kind::need_capacity, 16, large);
  EXPECT_EQ(streams_.on_credit(16, 2000), &large);
  EXPECT_EQ(large.reply.outcome.error().code, Errc::resource_exhausted);
  FakeCall fits(2, 2000);
  add(fits);
  expect_step(Kind::call, 16, fits);
}

TEST_F(CallStreamsTest, a_call_given_up_while_it_waits_ends_at_once) {
  FakeCall call(1);
  add(call);
  const auto given_up = streams_.give_up(call, {Errc::cancelled, "not wanted"});
  EXPECT_EQ(given_up.ended, &call);
  EXPECT_EQ(given_up.tell, GiveUp::nothing);
  credit(16);
  expect_nothing_to_send();
}

TEST_F(CallStreamsTest, a_call_given_up_while_it_is_sent_ends_when_nothing_reads_it_any_more) {
  FakeCall call(1);
  credit(16);
  add(call);
  expect_step(Kind::call, 16, call);
  const auto given_up = streams_.give_up(call, {Errc::deadline_exceeded, "late"});
  EXPECT_EQ(given_up.tell, GiveUp::reset_stream);
  EXPECT_EQ(given_up.stream, 16U);
  EXPECT_EQ(given_up.ended, nullptr);
  EXPECT_EQ(streams_.give_up(call, {Errc::cancelled, "again"}).tell, GiveUp::nothing);
  EXPECT_EQ(streams_.on_sent(16), &call);
  EXPECT_EQ(call.reply.outcome.error().code, Errc::deadline_exceeded) << "the first reason counts";
}

TEST_F(CallStreamsTest, a_call_given_up_after_it_was_sent_ends_at_once_and_its_return_is_dropped) {
  FakeCall call(1);
  credit(16);
  add(call);
  expect_step(Kind::call, 16, call);
  EXPECT_EQ(streams_.on_sent(16), nullptr);
  const auto given_up = streams_.give_up(call, {Errc::deadline_exceeded, "late"});
  EXPECT_EQ(given_up.tell, GiveUp::cancel_call);
  EXPECT_EQ(given_up.ended, &call);
  FakeCall next(2);
  add(next);
  expect_nothing_to_send();
  EXPECT_EQ(return_for(16, 1), nullptr);
  credit(16);
  expect_step(Kind::call, 16, next);
}

TEST_F(CallStreamsTest, a_return_for_another_call_is_dropped) {
  FakeCall call(2);
  credit(16);
  add(call);
  expect_step(Kind::call, 16, call);
  EXPECT_EQ(streams_.on_sent(16), nullptr);
  EXPECT_EQ(return_for(16, 1), nullptr);
  EXPECT_EQ(return_for(16, 2), &call);
}

TEST_F(CallStreamsTest, a_return_that_broke_off_ends_the_call_with_what_the_edge_said) {
  FakeCall call(1);
  credit(16);
  add(call);
  expect_step(Kind::call, 16, call);
  EXPECT_EQ(streams_.on_sent(16), nullptr);
  (void)streams_.on_return_begin(16, Return{.call_id = 1}, 8, 50);
  streams_.on_return_abandoned(16);
  EXPECT_EQ(streams_.on_failed(16, {Errc::internal, "instance lost"}), &call);
  EXPECT_EQ(call.reply.outcome.error().message, "instance lost");
}

TEST_F(CallStreamsTest, a_lost_link_answers_every_call_once) {
  FakeCall sent(1);
  FakeCall growing(2, 5000);
  FakeCall waiting(3);
  credit(16);
  credit(17);
  add(sent);
  add(growing);
  expect_step(Kind::call, 16, sent);
  expect_step(Kind::need_capacity, 17, growing);
  add(waiting);
  EXPECT_EQ(streams_.on_sent(16), nullptr);
  EXPECT_EQ(streams_.close(), (std::vector<RemoteCall*>{&sent, &growing, &waiting}));
  EXPECT_TRUE(streams_.close().empty());
  EXPECT_FALSE(streams_.contains(16));
  EXPECT_EQ(streams_.on_sent(16), nullptr) << "what comes late finds nothing";
}

TEST_F(CallStreamsTest, a_call_that_could_not_be_sent_ends_with_the_reason) {
  FakeCall call(1);
  credit(16);
  add(call);
  expect_step(Kind::call, 16, call);
  EXPECT_EQ(streams_.on_send_failed(16, {Errc::unreachable, "the link is down"}), &call);
  EXPECT_EQ(call.reply.outcome.error().code, Errc::unreachable);
}

FakeCall& as_extra(FakeCall& call) {
  call.request.rank = Rank::extra;
  return call;
}

TEST_F(CallStreamsTest, an_extra_call_goes_when_no_call_waits_and_a_stream_stays_ready) {
  FakeCall extra(9);
  FakeCall call(1);
  credit(16);
  add(as_extra(extra));
  expect_nothing_to_send();  // the one stream is kept for a call
  add(call);
  expect_step(Kind::call, 16, call);
  credit(17);
  expect_nothing_to_send();
  EXPECT_EQ(streams_.on_sent(16), nullptr);
  EXPECT_EQ(return_for(16, 1), &call);
  credit(16);
  expect_step(Kind::call, 16, extra);
  EXPECT_EQ(streams_.active(), 0U);
  EXPECT_FALSE(streams_.idle());
  EXPECT_EQ(streams_.on_sent(16), nullptr);
  EXPECT_EQ(return_for(16, 9), &extra);
  EXPECT_TRUE(streams_.idle());
}

TEST_F(CallStreamsTest, there_is_one_extra_call_at_a_time_beside_as_many_calls_as_may_be) {
  CallStreams streams({.calls = 1, .waiting = 2});
  streams.open(kStreams);
  (void)streams.on_credit(16, 1000);
  (void)streams.on_credit(17, 1000);
  FakeCall extra(9);
  FakeCall second_extra(10);
  FakeCall call(1);
  EXPECT_TRUE(streams.add(as_extra(extra)));
  EXPECT_FALSE(streams.add(as_extra(second_extra)));
  EXPECT_EQ(streams.next()->call, &extra);
  EXPECT_FALSE(streams.add(second_extra));
  EXPECT_TRUE(streams.add(call));
  EXPECT_EQ(streams.next()->call, &call);
}

TEST_F(CallStreamsTest, an_extra_call_is_given_up_wherever_it_is) {
  const Error why{Errc::cancelled, "enough"};
  FakeCall waiting(9);
  add(as_extra(waiting));
  EXPECT_TRUE(streams_.holds(waiting));
  EXPECT_EQ(streams_.give_up(waiting, why).ended, &waiting);
  EXPECT_FALSE(streams_.holds(waiting));
  credit(16);
  credit(17);
  FakeCall sent(10);
  add(as_extra(sent));
  expect_step(Kind::call, 16, sent);
  EXPECT_EQ(streams_.give_up(sent, why).tell, GiveUp::reset_stream);
  EXPECT_EQ(streams_.on_sent(16), &sent);
  FakeCall last(11);
  add(as_extra(last));
  const auto calls = streams_.close();
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(calls[0], &last);
  EXPECT_TRUE(streams_.idle());
}

TEST_F(CallStreamsTest, a_buffer_grows_for_an_extra_call_as_well) {
  credit(16, 100);
  credit(17, 100);
  FakeCall extra(9, 500);
  add(as_extra(extra));
  expect_step(Kind::need_capacity, 16, extra);
  credit(16, 500);
  expect_step(Kind::call, 16, extra);
}

}  // namespace
}  // namespace aloft::function
