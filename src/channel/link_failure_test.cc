// What becomes of an endpoint when its link, its peer or the bytes on it are not as they should be.
#include <algorithm>
#include <latch>
#include <thread>

#include <gtest/gtest.h>

#include "channel/tcp.h"
#include "channel/testing/client_test.h"
#include "channel/testing/raw_peer.h"
#include "channel/testing/recorder.h"
#include "support/relay.h"

namespace aloft::channel {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using aloft::testing::Relay;
using wire::FrameType;
using wire::Part;
using Clock = std::chrono::steady_clock;

// Of a machine that does other things as well.
constexpr auto kSlack = 50ms;

class LinkFailureTest : public ClientTest {};

TEST_F(LinkFailureTest, a_dead_peer_is_noticed_within_200_ms_by_both_ends) {
  Server server(io);
  Relay relay(server.address().port);
  const auto endpoint = connect(relay.port());
  ASSERT_TRUE(up());
  Server::Session* session = server.session(0);
  ASSERT_NE(session, nullptr);

  relay.blackhole();
  const auto death = Clock::now();
  ASSERT_TRUE(down());
  ASSERT_TRUE(session->recorder.wait([&] { return session->recorder.downs.size() == 1; }));
  for (const Recorder* end : {&client, &session->recorder}) {
    EXPECT_EQ(end->downs[0].code, Errc::unreachable);
    EXPECT_TRUE(end->downs[0].message.starts_with("the peer was silent for "))
        << end->downs[0].message;
    EXPECT_LT(end->down_at - death, 200ms + kSlack);
    EXPECT_GE(end->down_at - end->last_heard, 190ms);
    EXPECT_LT(end->down_at - end->last_heard, 200ms + kSlack);
  }
}

TEST_F(LinkFailureTest, a_peer_that_never_says_anything_after_the_handshake_is_dead) {
  RawListener listener;
  const auto endpoint = connect(listener.port());
  const RawPeer peer = listener.accept_and_greet();
  ASSERT_TRUE(up());
  ASSERT_TRUE(down());
  EXPECT_TRUE(client.downs[0].message.starts_with("the peer was silent for "));
}

TEST_F(LinkFailureTest, an_idle_link_lives_by_its_heartbeats) {
  Server server(io);
  const auto endpoint = connect(server.address().port);
  ASSERT_TRUE(up());
  // Ten heartbeats each way are more than twice the silence that is allowed.
  const auto start = Clock::now();
  const std::uint64_t before = endpoint->stats().rx_bytes;
  while (endpoint->stats().rx_bytes < before + 10 * 24 && Clock::now() < start + 5s)
    std::this_thread::sleep_for(5ms);
  EXPECT_GT(Clock::now() - start, 200ms);
  const auto lock = client.lock();
  EXPECT_EQ(client.downs.size(), 0U);
}

TEST_F(LinkFailureTest, a_link_with_a_round_trip_of_100_ms_lives) {
  Server server(io);
  Relay relay(server.address().port);
  relay.set_delay(50ms);
  const auto endpoint = connect(relay.port());
  ASSERT_TRUE(up());
  while (endpoint->stats().round_trip == 0ns) std::this_thread::sleep_for(1ms);
  EXPECT_GE(endpoint->stats().round_trip, 100ms);
  EXPECT_LT(endpoint->stats().round_trip, 200ms);
  const auto lock = client.lock();
  EXPECT_EQ(client.downs.size(), 0U);
}

TEST_F(LinkFailureTest, a_peer_that_closes_its_connection_is_noticed_at_once) {
  RawListener listener;
  const auto endpoint = connect(listener.port());
  RawPeer peer = listener.accept_and_greet();
  ASSERT_TRUE(up());
  (void)peer.read(24);  // the first ping
  const auto death = Clock::now();
  peer.close();
  ASSERT_TRUE(down());
  EXPECT_LT(client.down_at - death, kSlack);
  EXPECT_EQ(client.downs[0].code, Errc::unreachable);
  EXPECT_EQ(client.downs[0].message, "the peer closed the connection");
}

TEST_F(LinkFailureTest, a_connection_that_is_reset_is_noticed_at_once) {
  RawListener listener;
  const auto endpoint = connect(listener.port());
  RawPeer peer = listener.accept_and_greet();
  ASSERT_TRUE(up());
  const auto death = Clock::now();
  peer.close_with_rst();
  ASSERT_TRUE(down());
  EXPECT_LT(client.down_at - death, kSlack);
  EXPECT_EQ(client.downs[0].code, Errc::unreachable);
}

TEST_F(LinkFailureTest, all_that_is_unfinished_ends_with_the_link_and_is_told_before) {
  Server server(io);
  Relay relay(server.address().port);
  const auto endpoint = connect(relay.port());
  ASSERT_TRUE(up());
  Server::Session* session = server.session(0);
  ASSERT_NE(session, nullptr);
  session->endpoint->grant(5, 100'000'000);
  session->endpoint->grant(6, 100);
  ASSERT_TRUE(client.wait([&] { return client.credits.size() == 2; }));
  const auto frame = pattern(100'000'000, 1);
  ASSERT_TRUE(send(*endpoint, 5, "frame", frame, 7));
  ASSERT_TRUE(session->recorder.wait([&] { return session->recorder.begun.size() == 1; }));
  relay.cut();
  ASSERT_TRUE(down());
  ASSERT_EQ(client.sent.size(), 1U);
  EXPECT_EQ(client.sent[0].token, 7U);
  EXPECT_EQ(client.sent[0].outcome.error().code, Errc::unreachable);
  ASSERT_TRUE(session->recorder.wait([&] { return session->recorder.downs.size() == 1; }));
  ASSERT_EQ(session->recorder.abandoned.size(), 1U);
  const auto& order = session->recorder.order;
  EXPECT_LT(std::ranges::find(order, "abandoned 5"), std::ranges::find(order, "down 0"));
}

TEST_F(LinkFailureTest, a_lost_link_is_made_again_and_starts_without_credit) {
  Server server(io, with_hello("handler"));
  Relay relay(server.address().port);
  const auto endpoint = connect(relay.port(), with_hello("ue"));
  ASSERT_TRUE(up());
  server.session(0)->endpoint->grant(5, 100);
  ASSERT_TRUE(client.wait([&] { return client.credits.size() == 1; }));
  for (std::size_t loss = 1; loss <= 3; ++loss) {
    relay.cut();
    ASSERT_TRUE(down(loss));
    EXPECT_EQ(client.downs[loss - 1].code, Errc::unreachable);
    ASSERT_TRUE(up(loss + 1));
    EXPECT_EQ(send(*endpoint, 5, "x").error().code, Errc::overloaded);
    Server::Session* session = server.session(loss);
    ASSERT_NE(session, nullptr);
    ASSERT_TRUE(send(*endpoint, kControlStream, "again"));
    ASSERT_TRUE(session->recorder.wait([&] { return session->recorder.messages.size() == 1; }));
  }
}

TEST_F(LinkFailureTest, nothing_can_be_sent_while_the_link_is_down) {
  std::uint16_t port = 0;
  {
    const RawListener gone;
    port = gone.port();
  }
  const auto endpoint = connect(port);
  ASSERT_TRUE(down());
  EXPECT_EQ(client.downs[0].code, Errc::unreachable);
  EXPECT_TRUE(client.downs[0].message.starts_with("cannot connect to 127.0.0.1:"))
      << client.downs[0].message;
  EXPECT_EQ(send(*endpoint, kControlStream, "x").error().code, Errc::unreachable);
  endpoint->grant(5, 10);
  endpoint->reset(5, {Errc::cancelled, ""});
}

TEST_F(LinkFailureTest, a_peer_that_comes_later_is_found) {
  std::uint16_t port = 0;
  {
    const RawListener gone;
    port = gone.port();
  }
  EndpointOptions options;
  options.reconnect_delay = 5ms;
  const auto endpoint = connect(port, options);
  ASSERT_TRUE(down(2));
  Server acceptor(io);
  auto listening = listen_tcp(io, {"127.0.0.1", port}, {}, acceptor);
  ASSERT_TRUE(listening) << listening.error().message;
  EXPECT_TRUE(up());
  listening->reset();
}

TEST_F(LinkFailureTest, attempts_become_rarer) {
  std::uint16_t port = 0;
  {
    const RawListener gone;
    port = gone.port();
  }
  EndpointOptions options;
  options.reconnect_delay = 10ms;
  const auto start = Clock::now();
  const auto endpoint = connect(port, options);
  ASSERT_TRUE(down(5));
  EXPECT_GE(Clock::now() - start, 150ms);  // 10 + 20 + 40 + 80
}

TEST_F(LinkFailureTest, an_endpoint_whose_own_thread_slept_does_not_blame_its_peer) {
  RawListener listener;
  std::latch awake(1);
  client.at_end = [&awake, slept = false](StreamId) mutable {
    if (std::exchange(slept, true)) return;
    std::this_thread::sleep_for(1500ms);
    awake.count_down();
  };
  EndpointOptions options;
  options.dead_after = 1000ms;
  const auto endpoint = connect(listener.port(), options);
  const RawPeer peer = listener.accept_and_greet();
  ASSERT_TRUE(up());
  peer.write_frame({FrameType::message, Part::whole, 0, 0, 0, 0});
  // The peer says nothing while the other end's thread sleeps, and a little longer: it is judged
  // after the sleep, with nothing of it to be read.
  awake.wait();
  std::this_thread::sleep_for(100ms);
  peer.write_frame({FrameType::message, Part::whole, 0, 0, 0, 0});
  ASSERT_TRUE(client.wait([&] { return client.messages.size() == 2 || !client.downs.empty(); }));
  EXPECT_EQ(client.messages.size(), 2U)
      << (client.downs.empty() ? "" : client.downs.front().message);
}

}  // namespace
}  // namespace aloft::channel
