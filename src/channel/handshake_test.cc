// How a link begins, and the many ways in which it does not: other versions, other protocols,
// refusals, silence.
#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "channel/tcp.h"
#include "channel/testing/client_test.h"
#include "channel/testing/raw_peer.h"
#include "channel/testing/recorder.h"

namespace aloft::channel {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class HandshakeTest : public ClientTest {};

TEST_F(HandshakeTest, a_peer_of_other_versions_is_refused_for_good_with_both_ranges) {
  RawListener listener;
  const auto endpoint = connect(listener.port());
  const RawPeer peer = listener.accept();
  const auto hello = peer.read_greeting();
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->versions, wire::kVersions);
  peer.write(wire::pack_refused({2, 3}, {Errc::version_mismatch, "x"}));
  ASSERT_TRUE(down());
  EXPECT_EQ(client.downs[0].code, Errc::version_mismatch);
  EXPECT_EQ(client.downs[0].message, "127.0.0.1:" + std::to_string(listener.port()) +
                                         ": peer speaks wire versions 2..3, we speak 1..1");
  pollfd waiting{listener.socket(), POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 300), 0) << "it must not come back";
}

TEST_F(HandshakeTest, a_client_of_other_versions_is_told_ours) {
  Server server(io);
  const RawPeer peer = RawPeer::connect(server.address().port);
  peer.write(wire::pack_hello({2, 3}, CreditRule::required, {}));
  const auto answer = peer.read_greeting();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->kind, wire::GreetingKind::refused);
  EXPECT_EQ(answer->code, Errc::version_mismatch);
  EXPECT_EQ(answer->versions, wire::kVersions);
  EXPECT_TRUE(peer.read_end());
}

TEST_F(HandshakeTest, a_client_that_speaks_later_versions_too_is_served_in_ours) {
  Server server(io);
  const RawPeer peer = RawPeer::connect(server.address().port);
  peer.write(wire::pack_hello({1, 9}, CreditRule::required, {}));
  const auto answer = peer.read_greeting();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->kind, wire::GreetingKind::welcome);
  EXPECT_EQ(answer->versions, (wire::VersionRange{1, 1}));
}

TEST_F(HandshakeTest, a_peer_that_the_acceptor_refuses_is_told_why_and_does_not_come_back) {
  Server server(io);
  int asked = 0;
  server.admit = [&](std::string_view) -> Result<void> {
    ++asked;
    return fail(Errc::refused, "this handler serves others");
  };
  EndpointOptions options;
  options.reconnect_delay = 1ms;
  const auto endpoint = connect(server.address().port, options);
  ASSERT_TRUE(down());
  EXPECT_EQ(client.downs[0].code, Errc::refused);
  EXPECT_NE(client.downs[0].message.find("this handler serves others"), std::string::npos);
  EXPECT_FALSE(client.wait([&] { return client.downs.size() > 1; }, 100ms));
}

TEST_F(HandshakeTest, a_peer_that_is_refused_for_the_moment_comes_back) {
  Server server(io);
  int asked = 0;
  server.admit = [&](std::string_view) -> Result<void> {
    if (++asked < 3) return fail(Errc::overloaded, "too many sessions");
    return {};
  };
  EndpointOptions options;
  options.reconnect_delay = 1ms;
  const auto endpoint = connect(server.address().port, options);
  ASSERT_TRUE(up());
  ASSERT_EQ(client.downs.size(), 2U);
  EXPECT_EQ(client.downs[0].code, Errc::overloaded);
}

TEST_F(HandshakeTest, a_server_of_another_protocol_is_noticed_quickly) {
  for (const std::string_view answer :
       {"HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.2p1\r\n", "x"}) {
    RawListener listener;
    Recorder other;
    const auto start = Clock::now();
    const auto endpoint = connect_tcp(io, {"127.0.0.1", listener.port()}, {}, other);
    const RawPeer peer = listener.accept();
    peer.write(answer);
    ASSERT_TRUE(other.wait([&] { return other.downs.size() == 1; }));
    EXPECT_LT(Clock::now() - start, 500ms);
    EXPECT_EQ(other.downs[0].code, Errc::protocol);
    EXPECT_NE(other.downs[0].message.find("the peer speaks another protocol"), std::string::npos)
        << other.downs[0].message;
  }
}

TEST_F(HandshakeTest, a_server_that_accepts_and_says_nothing_is_given_up) {
  RawListener listener;
  EndpointOptions options;
  options.connect_timeout = 80ms;
  const auto endpoint = connect(listener.port(), options);
  const RawPeer peer = listener.accept();
  ASSERT_TRUE(down());
  EXPECT_EQ(client.downs[0].code, Errc::unreachable);
  EXPECT_EQ(client.downs[0].message,
            "127.0.0.1:" + std::to_string(listener.port()) + " did not answer within 80 ms");
}

TEST_F(HandshakeTest, a_server_that_closes_in_the_handshake_is_told_as_such) {
  RawListener listener;
  const auto endpoint = connect(listener.port());
  {
    const RawPeer peer = listener.accept();
    (void)peer.read_greeting();
  }
  ASSERT_TRUE(down());
  EXPECT_EQ(client.downs[0].code, Errc::unreachable);
  EXPECT_NE(client.downs[0].message.find("the peer closed the connection in the handshake"),
            std::string::npos);
}

TEST_F(HandshakeTest, clients_that_speak_other_protocols_or_nothing_are_sent_away) {
  EndpointOptions options;
  options.connect_timeout = 80ms;
  Server server(io, options);
  const std::uint16_t port = server.address().port;
  const RawPeer http = RawPeer::connect(port);
  http.write("GET / HTTP/1.1\r\nHost: edge\r\n\r\n");
  const auto refusal = http.read_greeting();
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->code, Errc::protocol);
  EXPECT_TRUE(http.read_end());

  const RawPeer silent = RawPeer::connect(port);
  const RawPeer half = RawPeer::connect(port);
  const auto hello = wire::pack_hello(wire::kVersions, CreditRule::required, pattern(100, 1));
  half.write(std::span(hello).first(50));
  EXPECT_TRUE(silent.read_end());
  EXPECT_TRUE(half.read_end());

  const RawPeer welcome = RawPeer::connect(port);
  welcome.write(wire::pack_welcome(1, CreditRule::required, {}));
  EXPECT_TRUE(welcome.read_end());

  const auto endpoint = connect(port);
  EXPECT_TRUE(up());
}

TEST_F(HandshakeTest, who_comes_and_goes_without_a_word_takes_nobodys_place) {
  Server server(io);
  const std::uint16_t port = server.address().port;
  const auto hello = wire::pack_hello(wire::kVersions, CreditRule::required, pattern(100, 1));
  const RawPeer slow = RawPeer::connect(port);
  slow.write(std::span(hello).first(50));
  // More than are in the handshake at one time.
  for (int i = 0; i < 1000; ++i) (void)RawPeer::connect(port);
  slow.write(std::span(hello).subspan(50));
  const auto answer = slow.read_greeting();
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->kind, wire::GreetingKind::welcome);
}

TEST_F(HandshakeTest, a_socket_that_listens_already_is_served) {
  RawListener listener;
  const std::uint16_t port = listener.port();
  Server acceptor(io);
  auto served = listen_inherited(io, listener.release(), {}, acceptor);
  ASSERT_TRUE(served) << served.error().message;
  EXPECT_EQ((*served)->address(), (net::Address{"127.0.0.1", port}));
  const auto endpoint = connect(port);
  EXPECT_TRUE(up());
  served->reset();
}

TEST_F(HandshakeTest, what_cannot_be_listened_on_is_told) {
  Server acceptor(io);
  RawListener taken;
  const auto second = listen_tcp(io, {"127.0.0.1", taken.port()}, {}, acceptor);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "cannot listen on 127.0.0.1:" + std::to_string(taken.port()) +
                                        ": Address already in use");
  const auto nowhere = listen_tcp(io, {"192.0.2.1", 1}, {}, acceptor);
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().code, Errc::unreachable);
  const auto no_socket = listen_inherited(io, ::open("/dev/null", O_RDONLY), {}, acceptor);
  ASSERT_FALSE(no_socket);
  EXPECT_EQ(no_socket.error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace aloft::channel
