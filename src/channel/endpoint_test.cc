// What an endpoint promises while its link is up: order, bytes, places, credit, resets, the end.
#include "channel/endpoint.h"

#include <algorithm>
#include <array>
#include <thread>

#include <gtest/gtest.h>

#include "channel/tcp.h"
#include "channel/testing/recorder.h"

namespace aloft::channel {
namespace {

using namespace testing;
using namespace std::chrono_literals;

// A client (the UE's side: receives without credit) and a server (the handler's: gives credit).
class EndpointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    EndpointOptions options = with_hello("ue");
    options.receive = CreditRule::not_required;
    ue = connect_tcp(io, server.address(), options, client);
    session = server.session(0);
    ASSERT_NE(session, nullptr);
    handler = session->endpoint.get();
    remote = &session->recorder;
    ASSERT_TRUE(client.wait([&] { return !client.ups.empty(); }));
    ASSERT_TRUE(remote->wait([&] { return !remote->ups.empty(); }));
  }
  void TearDown() override { end(); }
  // No callback comes after.
  void end() {
    ue.reset();
    session->endpoint.reset();
  }

  // The client may send one message on `stream`.
  void give_credit(StreamId stream, std::uint64_t capacity) {
    const std::size_t before = [&] {
      const auto lock = client.lock();
      return client.credits.size();
    }();
    handler->grant(stream, capacity);
    ASSERT_TRUE(client.wait([&] { return client.credits.size() > before; }));
  }

  // Bytes that live as long as the test, for messages that nobody waits for.
  std::span<const std::byte> kept(std::size_t size, unsigned seed) {
    kept_.push_back(pattern(size, seed));
    return kept_.back();
  }

  std::deque<std::vector<std::byte>> kept_;
  IoThread io;
  Server server{io, with_hello("handler")};
  Recorder client;
  std::unique_ptr<Endpoint> ue;
  Server::Session* session = nullptr;
  Endpoint* handler = nullptr;
  Recorder* remote = nullptr;
};

TEST_F(EndpointTest, each_end_is_shown_the_hello_of_the_other) {
  EXPECT_EQ(client.ups, std::vector<std::string>{"handler"});
  EXPECT_EQ(remote->ups, std::vector<std::string>{"ue"});
  EXPECT_EQ(session->hello, "ue");
}

TEST_F(EndpointTest, messages_of_one_stream_arrive_in_the_order_they_were_sent) {
  constexpr int kCount = 500;
  for (int i = 0; i < kCount; ++i) {
    ASSERT_TRUE(send(*ue, kControlStream, std::to_string(i)));
    // The bound on messages without credit is met by whoever waits for none to leave.
    if (i % 100 == 99)
      ASSERT_TRUE(client.wait([&] { return client.sent.size() == std::size_t(i) + 1; }));
  }
  ASSERT_TRUE(remote->wait([&] { return remote->messages.size() == kCount; }));
  for (int i = 0; i < kCount; ++i)
    EXPECT_EQ(remote->messages[std::size_t(i)].head, std::to_string(i));
}

TEST_F(EndpointTest, heads_and_bodies_of_every_size_arrive_as_they_were) {
  const std::array<std::size_t, 5> heads{0, 1, 100, kMaxHead - 1, kMaxHead};
  const std::array<std::size_t, 12> bodies{0,
                                           1,
                                           4080,
                                           4096,
                                           kMaxFragment - kMaxHead,
                                           kMaxFragment - 100,
                                           kMaxFragment - 1,
                                           kMaxFragment,
                                           kMaxFragment + 1,
                                           2 * kMaxFragment,
                                           300'001,
                                           3'000'000};
  std::size_t count = 0;
  for (const std::size_t head_size : heads) {
    for (const std::size_t body_size : bodies) {
      give_credit(7, body_size);
      const auto body = pattern(body_size, unsigned(count));
      const std::string head = text_of(pattern(head_size, 77));
      ASSERT_TRUE(send(*ue, 7, head, body, count));
      ++count;
      ASSERT_TRUE(remote->wait([&] { return remote->messages.size() == count; }));
      EXPECT_EQ(remote->messages.back().head, head);
      EXPECT_TRUE(remote->messages.back().body == body) << head_size << " + " << body_size;
    }
  }
  ASSERT_TRUE(client.wait([&] { return client.sent.size() == count; }));
  for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(client.sent[i].token, i);
}

TEST_F(EndpointTest, a_body_is_received_into_the_memory_that_was_named_for_it) {
  std::vector<std::byte> memory(1'300'000 + 2);
  const std::span<std::byte> place = std::span(memory).subspan(1, 1'300'000);
  remote->provide(5, place);
  give_credit(5, place.size());
  const auto body = pattern(place.size(), 3);
  ASSERT_TRUE(send(*ue, 5, "frame", body));
  ASSERT_TRUE(remote->wait([&] { return remote->messages.size() == 1; }));
  EXPECT_EQ(remote->messages[0].place, place.data());
  EXPECT_TRUE(std::ranges::equal(place, body));
  EXPECT_EQ(memory.front(), std::byte{0});
  EXPECT_EQ(memory.back(), std::byte{0});
}

TEST_F(EndpointTest, a_body_is_gathered_from_all_buffers_of_its_sender) {
  const auto whole = pattern(500'000, 9);
  std::vector<std::span<const std::byte>> pieces;
  for (std::size_t at = 0, size = 0; at < whole.size(); at += size, size = size * 2 + 1) {
    size = std::min(size, whole.size() - at);
    pieces.push_back(std::span(whole).subspan(at, size));
  }
  for (std::size_t i = 0; i < 300; ++i) pieces.insert(pieces.begin(), std::span<const std::byte>{});
  give_credit(5, whole.size());
  ASSERT_TRUE(ue->send({.stream = 5, .head = bytes_of("x"), .body = pieces, .token = 1}));
  ASSERT_TRUE(remote->wait([&] { return remote->messages.size() == 1; }));
  EXPECT_TRUE(remote->messages[0].body == whole);
}

TEST_F(EndpointTest, a_body_of_a_thousand_small_buffers_arrives_whole) {
  const auto whole = pattern(100'000, 11);
  std::vector<std::span<const std::byte>> pieces;
  for (std::size_t at = 0; at < whole.size(); at += 100)
    pieces.push_back(std::span(whole).subspan(at, 100));
  give_credit(5, whole.size());
  ASSERT_TRUE(ue->send({.stream = 5, .head = bytes_of("x"), .body = pieces, .token = 1}));
  ASSERT_TRUE(remote->wait([&] { return remote->messages.size() == 1; }));
  EXPECT_TRUE(remote->messages[0].body == whole);
}

TEST_F(EndpointTest, a_small_message_overtakes_a_frame_that_was_sent_before_it) {
  const auto frame = pattern(32'000'000, 1);
  give_credit(5, frame.size());
  give_credit(6, 100);
  ASSERT_TRUE(send(*ue, 5, "frame", frame, 1));
  ASSERT_TRUE(send(*ue, 6, "urgent", kept(100, 2), 2));
  ASSERT_TRUE(send(*ue, kControlStream, "control", {}, 3));
  ASSERT_TRUE(remote->wait([&] { return remote->messages.size() == 3; }));
  EXPECT_EQ(remote->messages[2].head, "frame");
  EXPECT_TRUE(remote->messages[2].body == frame);
}

TEST_F(EndpointTest, a_reply_needs_no_credit_where_its_receiver_said_so) {
  const auto body = pattern(1'000'000, 4);
  ASSERT_TRUE(send(*handler, 9, "return", body, 5));
  ASSERT_TRUE(client.wait([&] { return client.messages.size() == 1; }));
  EXPECT_TRUE(client.messages[0].body == body);
  ASSERT_TRUE(remote->wait([&] { return remote->sent.size() == 1; }));
  EXPECT_TRUE(remote->sent[0].outcome.has_value());
}

TEST_F(EndpointTest, one_message_may_be_sent_for_each_credit) {
  EXPECT_EQ(send(*ue, 5, "no credit").error().code, Errc::overloaded);
  give_credit(5, 10);
  EXPECT_EQ(send(*ue, 5, "too large", kept(11, 0)).error().code, Errc::resource_exhausted);
  EXPECT_TRUE(send(*ue, 5, "fits", kept(10, 0)));
  EXPECT_EQ(send(*ue, 5, "used up").error().code, Errc::overloaded);
  EXPECT_EQ(send(*ue, 6, "other stream").error().code, Errc::overloaded);
  ASSERT_TRUE(remote->wait([&] { return remote->messages.size() == 1; }));
  EXPECT_EQ(remote->messages[0].head, "fits");
}

TEST_F(EndpointTest, a_message_uses_the_oldest_credit_that_holds_it) {
  give_credit(5, 10);
  give_credit(5, 1000);
  ASSERT_TRUE(send(*ue, 5, "large", kept(500, 0)));
  ASSERT_TRUE(send(*ue, 5, "small", kept(5, 0)));
  EXPECT_EQ(send(*ue, 5, "none").error().code, Errc::overloaded);
  ASSERT_TRUE(remote->wait([&] { return remote->messages.size() == 2; }));
  EXPECT_EQ(remote->messages[1].head, "small");
}

TEST_F(EndpointTest, a_message_may_bring_a_credit) {
  const auto body = kept(200'000, 1);
  ASSERT_TRUE(
      handler->send({.stream = 5, .head = {}, .body = {&body, 1}, .token = 1, .then_grant = 10}));
  ASSERT_TRUE(client.wait([&] { return client.credits.size() == 1; }));
  EXPECT_EQ(client.credits[0], std::pair(StreamId{5}, std::uint64_t{10}));
  EXPECT_EQ(client.messages.size(), 1U);
  EXPECT_TRUE(send(*ue, 5, "uses it", kept(10, 0)));
  EXPECT_EQ(send(*ue, 5, "used up").error().code, Errc::overloaded);
  ASSERT_TRUE(remote->wait([&] { return remote->messages.size() == 1; }));
}

TEST_F(EndpointTest, a_message_that_is_taken_back_brings_its_credit_all_the_same) {
  const auto body = kept(64'000'000, 1);
  ASSERT_TRUE(
      handler->send({.stream = 5, .head = {}, .body = {&body, 1}, .token = 1, .then_grant = 10}));
  ASSERT_TRUE(client.wait([&] { return client.begun.size() == 1; }));
  ue->reset(5, {Errc::cancelled, "not wanted"});
  ASSERT_TRUE(client.wait([&] { return client.credits.size() == 1; }));
  EXPECT_TRUE(client.messages.empty());
  EXPECT_TRUE(send(*ue, 5, "uses it", kept(10, 0)));
  ASSERT_TRUE(remote->wait([&] { return remote->messages.size() == 1; }));
}

TEST_F(EndpointTest, what_cannot_be_sent_is_refused_at_once) {
  const std::string head(kMaxHead + 1, 'h');
  EXPECT_EQ(send(*ue, kControlStream, head).error().code, Errc::invalid_argument);
  const std::vector<std::byte> body(kMaxControlBody + 1);
  EXPECT_EQ(send(*ue, kControlStream, "", body).error().code, Errc::invalid_argument);
  EXPECT_TRUE(send(*ue, kControlStream, "", std::span(body).first(kMaxControlBody)));
  EXPECT_TRUE(remote->wait([&] { return remote->messages.size() == 1; }));
}

TEST_F(EndpointTest, a_message_that_the_receiver_refuses_is_dropped_and_its_sender_told) {
  session->recorder.admit = [](StreamId stream, std::string_view) -> Result<void> {
    if (stream == 5) return fail(Errc::resource_exhausted, "no memory for it");
    return {};
  };
  const auto frame = pattern(32'000'000, 1);
  give_credit(5, frame.size());
  give_credit(6, 100);
  ASSERT_TRUE(send(*ue, 5, "frame", frame, 1));
  ASSERT_TRUE(client.wait([&] { return client.resets.size() == 1 && client.sent.size() == 1; }));
  EXPECT_EQ(client.resets[0].first, 5U);
  EXPECT_EQ(client.resets[0].second.code, Errc::resource_exhausted);
  EXPECT_EQ(client.resets[0].second.message, "no memory for it");
  EXPECT_EQ(client.sent[0].outcome.error().code, Errc::resource_exhausted);
  // The link and other streams go on.
  ASSERT_TRUE(send(*ue, 6, "small", kept(100, 2), 2));
  ASSERT_TRUE(remote->wait([&] { return remote->messages.size() == 1; }));
  EXPECT_EQ(remote->messages[0].head, "small");
  EXPECT_TRUE(remote->abandoned.empty());
}

TEST_F(EndpointTest, a_sender_that_resets_takes_its_message_back) {
  const auto frame = pattern(32'000'000, 1);
  std::vector<std::byte> memory(frame.size());
  remote->provide(5, memory);
  give_credit(5, frame.size());
  give_credit(5, frame.size());
  ASSERT_TRUE(send(*ue, 5, "frame", frame, 1));
  ASSERT_TRUE(send(*ue, 5, "behind it", {}, 2));
  ue->reset(5, {Errc::cancelled, "the caller gave it up"});
  ASSERT_TRUE(client.wait([&] { return client.sent.size() == 2; }));
  EXPECT_EQ(client.sent[0].token, 1U);
  EXPECT_EQ(client.sent[0].outcome.error().code, Errc::cancelled);
  EXPECT_EQ(client.sent[1].token, 2U);
  ASSERT_TRUE(remote->wait([&] { return remote->resets.size() == 1; }));
  EXPECT_EQ(remote->resets[0].second.message, "the caller gave it up");
  ASSERT_EQ(remote->abandoned.size(), 1U);
  EXPECT_EQ(remote->abandoned[0].second.code, Errc::cancelled);
  EXPECT_TRUE(remote->messages.empty());
  // The one that had not begun left its credit.
  ASSERT_TRUE(send(*ue, 5, "again", kept(70'000, 2), 3));
  EXPECT_EQ(send(*ue, 5, "none").error().code, Errc::overloaded);
  ASSERT_TRUE(remote->wait([&] { return remote->messages.size() == 1; }));
  EXPECT_TRUE(remote->messages[0].body == pattern(70'000, 2));
}

TEST_F(EndpointTest, a_receiver_that_resets_gets_no_more_of_the_message) {
  const auto frame = pattern(64'000'000, 1);
  give_credit(5, frame.size());
  ASSERT_TRUE(send(*ue, 5, "frame", frame, 1));
  ASSERT_TRUE(remote->wait([&] { return remote->begun.size() == 1; }));
  handler->reset(5, {Errc::overloaded, "not now"});
  ASSERT_TRUE(remote->wait([&] { return remote->abandoned.size() == 1; }));
  ASSERT_TRUE(client.wait([&] { return client.resets.size() == 1 && client.sent.size() == 1; }));
  EXPECT_EQ(client.sent[0].outcome.error().message, "not now");
  give_credit(5, 10);
  ASSERT_TRUE(send(*ue, 5, "next", kept(10, 2), 2));
  ASSERT_TRUE(remote->wait([&] { return remote->messages.size() == 1; }));
  EXPECT_EQ(remote->messages[0].head, "next");
}

TEST_F(EndpointTest, a_reset_of_an_idle_stream_is_told_to_the_peer) {
  handler->reset(40, {Errc::resource_exhausted, "the buffer cannot grow"});
  ASSERT_TRUE(client.wait([&] { return client.resets.size() == 1; }));
  EXPECT_EQ(client.resets[0].first, 40U);
  EXPECT_EQ(client.resets[0].second.code, Errc::resource_exhausted);
}

TEST_F(EndpointTest, messages_of_many_streams_and_both_directions_keep_their_bytes) {
  constexpr StreamId kStreams = 20;
  constexpr unsigned kRounds = 10;
  // The handler answers each message with its own bytes, and gives the next credit when the reply
  // has left.
  std::map<StreamId, std::vector<std::byte>> replies;
  remote->at_end = [&](StreamId stream) {
    {
      const auto lock = remote->lock();
      replies[stream] = remote->messages.back().body;
    }
    EXPECT_TRUE(send(*handler, stream, "reply", replies[stream]));
  };
  remote->at_sent = [&](StreamId stream) { handler->grant(stream, 400'000); };
  std::map<StreamId, std::vector<std::byte>> requests;
  std::map<StreamId, unsigned> rounds;
  const auto next = [&](StreamId stream) {
    requests[stream] = pattern(1 + stream * 17'000, rounds[stream] * 100 + stream);
    EXPECT_TRUE(send(*ue, stream, "request", requests[stream]));
  };
  client.at_end = [&](StreamId stream) {
    const auto lock = client.lock();
    EXPECT_EQ(client.messages.back().body, requests[stream]) << stream;
    ++rounds[stream];
  };
  client.at_credit = [&](StreamId stream, std::uint64_t) {
    if (rounds[stream] < kRounds) next(stream);
  };
  for (StreamId stream = 1; stream <= kStreams; ++stream) handler->grant(stream, 400'000);
  EXPECT_TRUE(client.wait([&] { return client.messages.size() == kStreams * kRounds; }, 30s));
  end();
}

TEST_F(EndpointTest, nothing_is_told_from_inside_a_call_of_the_endpoint) {
  // A receiver that holds a lock of its own while it calls the endpoint must not be called back
  // under it.
  std::mutex mine;
  const auto under_lock = [&](auto call) {
    const std::lock_guard lock(mine);
    call();
  };
  client.at_sent = [&](StreamId) { under_lock([] {}); };
  client.at_credit = [&](StreamId stream, std::uint64_t) {
    under_lock([&] { EXPECT_TRUE(send(*ue, stream, "from a callback", kept(10, 1), 9)); });
  };
  under_lock([&] {
    EXPECT_TRUE(send(*ue, kControlStream, "from outside"));
    ue->reset(77, {Errc::cancelled, "nothing"});
    ue->grant(78, 10);
  });
  handler->grant(5, 10);
  EXPECT_TRUE(client.wait([&] { return client.sent.size() == 2; }));
  end();
}

TEST_F(EndpointTest, a_quiet_send_that_the_kernel_took_is_done_when_it_returns) {
  const auto small = kept(1000, 1);
  give_credit(5, small.size());
  const auto sending =
      ue->send_quietly({.stream = 5, .head = bytes_of("x"), .body = {&small, 1}, .token = 1});
  ASSERT_TRUE(sending);
  EXPECT_EQ(*sending, Sending::done);
  ASSERT_TRUE(remote->wait([&] { return remote->messages.size() == 1; }));

  const auto large = kept(64'000'000, 2);
  give_credit(5, large.size());
  const auto waiting =
      ue->send_quietly({.stream = 5, .head = bytes_of("y"), .body = {&large, 1}, .token = 2});
  ASSERT_TRUE(waiting);
  EXPECT_EQ(*waiting, Sending::under_way);
  EXPECT_EQ(ue->send_quietly({.stream = 5, .head = {}, .body = {}}).error().code, Errc::overloaded);
  ASSERT_TRUE(client.wait([&] { return client.sent.size() == 1; }));
  EXPECT_EQ(client.sent[0].token, 2U);
}

TEST_F(EndpointTest, threads_that_send_at_the_same_time_lose_nothing) {
  constexpr StreamId kThreads = 4;
  constexpr unsigned kEach = 100;
  for (StreamId stream = 1; stream <= kThreads; ++stream) {
    for (unsigned i = 0; i < 50; ++i) give_credit(stream, 100'000);
  }
  remote->at_end = [&](StreamId stream) { handler->grant(stream, 100'000); };
  const auto body = pattern(100'000, 1);
  {
    std::vector<std::jthread> threads;
    for (StreamId stream = 1; stream <= kThreads; ++stream) {
      threads.emplace_back([&, stream] {
        for (unsigned i = 0; i < kEach;) {
          if (send(*ue, stream, std::to_string(i), std::span(body).first(1 + i * 997))) {
            ++i;
          } else {
            std::this_thread::yield();
          }
        }
      });
    }
  }
  ASSERT_TRUE(remote->wait([&] { return remote->messages.size() == kThreads * kEach; }));
  std::map<StreamId, unsigned> next;
  for (const auto& message : remote->messages) {
    const unsigned i = next[message.stream]++;
    EXPECT_EQ(message.head, std::to_string(i));
    EXPECT_EQ(message.body.size(), 1 + i * 997);
    EXPECT_TRUE(std::ranges::equal(message.body, std::span(body).first(message.body.size())));
  }
}

TEST_F(EndpointTest, the_peer_is_told_why_the_link_was_closed) {
  const auto frame = pattern(3'000'000, 1);
  ASSERT_TRUE(send(*handler, 5, "last", frame, 1));
  handler->close({Errc::unreachable, "going away"});
  EXPECT_EQ(send(*handler, 5, "too late").error().code, Errc::unreachable);
  ASSERT_TRUE(client.wait([&] { return client.downs.size() == 1; }));
  EXPECT_EQ(client.downs[0].message, "going away");
  // What was sent before the end arrives before it.
  ASSERT_EQ(client.messages.size(), 1U);
  EXPECT_TRUE(client.messages[0].body == frame);
  ASSERT_TRUE(remote->wait([&] { return remote->downs.size() == 1; }));
  EXPECT_EQ(remote->downs[0].message, "going away");
  EXPECT_EQ(remote->order.back(), "down 0");
}

TEST_F(EndpointTest, an_endpoint_destroyed_right_after_close_still_tells_the_peer_why) {
  session->endpoint->close({Errc::overloaded, "too many sessions"});
  session->endpoint.reset();
  ASSERT_TRUE(client.wait([&] { return client.downs.size() == 1; }));
  EXPECT_EQ(client.downs[0].code, Errc::overloaded);
  EXPECT_EQ(client.downs[0].message, "too many sessions");
}

TEST_F(EndpointTest, the_link_measures_its_round_trip_and_counts_its_bytes) {
  const auto body = pattern(1'000'000, 1);
  give_credit(5, body.size());
  ASSERT_TRUE(send(*ue, 5, "frame", body));
  ASSERT_TRUE(remote->wait([&] { return remote->messages.size() == 1; }));
  while (ue->stats().round_trip == 0ns) std::this_thread::yield();
  EXPECT_LT(ue->stats().round_trip, 1s);
  const std::uint64_t frames = (1'000'000 + 5 + kMaxFragment - 1) / kMaxFragment;
  EXPECT_GE(ue->stats().tx_bytes, 1'000'000 + 5 + frames * 16);
  EXPECT_LT(ue->stats().tx_bytes, 1'000'000 + 5 + frames * 16 + 1000);
  EXPECT_GE(handler->stats().rx_bytes, 1'000'000 + 5 + frames * 16);
  while (ue->stats().segments == 0) std::this_thread::yield();  // with a heartbeat
  EXPECT_LE(ue->stats().resent, ue->stats().segments);
}

}  // namespace
}  // namespace aloft::channel
