// Peers that break the protocol, or do not read what they are sent: their own link ends, with a
// clear reason.
#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "channel/tcp.h"
#include "channel/testing/raw_peer.h"
#include "channel/testing/recorder.h"

namespace aloft::channel {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using wire::FrameHeader;
using wire::FrameType;
using wire::Part;

// A raw client that a real server has welcomed.
class PeerViolationTest : public ::testing::Test {
 protected:
  void greet() {
    peer = RawPeer::connect_and_greet(server.address().port);
    session = server.session(sessions++);
    ASSERT_NE(session, nullptr);
  }
  // The server must close with a protocol error that says `what`.
  void expect_violation(const std::string& what) {
    SCOPED_TRACE(what);
    Recorder& recorder = session->recorder;
    ASSERT_TRUE(recorder.wait([&] { return recorder.downs.size() == 1; }));
    EXPECT_EQ(recorder.downs[0].code, Errc::protocol);
    EXPECT_EQ(recorder.downs[0].message, what);
    for (;;) {
      const auto frame = peer.read_frame();
      ASSERT_TRUE(frame) << "no CLOSE came";
      if (frame->header.type != FrameType::close) continue;
      const auto why = wire::unpack_error(frame->payload);
      ASSERT_TRUE(why);
      EXPECT_EQ(why->code, Errc::protocol);
      EXPECT_EQ(why->message, what);
      break;
    }
    EXPECT_TRUE(peer.read_end());
  }

  IoThread io;
  Server server{io};
  RawPeer peer;
  Server::Session* session = nullptr;
  std::size_t sessions = 0;
};

TEST_F(PeerViolationTest, a_malformed_frame_ends_the_link_with_an_error_that_names_its_field) {
  const std::vector<std::pair<FrameHeader, std::string>> all{
      {{.type = static_cast<FrameType>(9)}, "frame: type is 9, must be 1 to 6"},
      {{.type = FrameType::message, .part = static_cast<Part>(4)},
       "message frame: flags is 4, must be 0 to 3"},
      {{FrameType::message, Part::first, 0, 0, 65537, 90000},
       "message frame: length is 65537, must be 0 to 65536"},
      {{FrameType::message, Part::first, 16385, 0, 20000, 90000},
       "message frame: head_size is 16385, must be 0 to 16384"},
      {{FrameType::message, Part::whole, 0, 0, 5, 6}, "message frame: number is 6, must be 5"},
      {{FrameType::credit, Part::middle, 0, 0, 0, 6},
       "credit frame: stream is 0, must be 1 to 4294967295"},
      {{FrameType::ping, Part::middle, 0, 0, 9, 0}, "ping frame: length is 9, must be 8"},
      {{FrameType::reset, Part::middle, 0, 1, 1, 0}, "reset frame: length is 1, must be 2 to 514"},
      {{FrameType::close, Part::middle, 0, 3, 2, 0}, "close frame: stream is 3, must be 0"},
      {{FrameType::message, Part::last, 0, 3, 2, 0},
       "message frame on stream 3: flags lack `first` and no message is under way"},
  };
  for (const auto& [header, complaint] : all) {
    greet();
    peer.write_frame(header, pattern(std::min<std::size_t>(header.length, 100), 1));
    expect_violation(complaint);
  }
}

TEST_F(PeerViolationTest, a_message_without_credit_ends_the_link) {
  greet();
  peer.write_frame({FrameType::message, Part::whole, 0, 5, 0, 0});
  expect_violation("message frame on stream 5: the stream has no credit");

  greet();
  session->endpoint->grant(5, 100);
  const auto credit = peer.read_frame();
  ASSERT_TRUE(credit);
  EXPECT_EQ(credit->header, (FrameHeader{.type = FrameType::credit, .stream = 5, .number = 100}));
  peer.write_frame({FrameType::message, Part::first, 0, 5, 10, 101}, pattern(10, 1));
  expect_violation(
      "message frame on stream 5: number is a body of 101 bytes, the largest credit is 100");

  greet();
  session->endpoint->grant(5, 100);
  (void)peer.read_frame();
  peer.write_frame({FrameType::message, Part::whole, 0, 5, 10, 10}, pattern(10, 1));
  ASSERT_TRUE(session->recorder.wait([&] { return session->recorder.messages.size() == 1; }));
  peer.write_frame({FrameType::message, Part::whole, 0, 5, 10, 10}, pattern(10, 1));
  expect_violation("message frame on stream 5: the stream has no credit");
}

TEST_F(PeerViolationTest, credits_without_end_end_the_link) {
  greet();
  for (std::size_t i = 0; i < 65; ++i)
    peer.write_frame({FrameType::credit, Part::middle, 0, 5, 0, 6});
  expect_violation("credit frame: stream 5 has 64 unused credits already");
}

TEST_F(PeerViolationTest, random_bytes_end_their_own_link_and_no_other) {
  Recorder client;
  const auto other = connect_tcp(io, server.address(), {}, client);
  ASSERT_TRUE(client.wait([&] { return !client.ups.empty(); }));
  ++sessions;
  std::mt19937 random(5);
  for (int round = 0; round < 100; ++round) {
    greet();
    std::vector<std::byte> bytes(random() % 2000);
    for (std::byte& byte : bytes)
      byte = static_cast<std::byte>(random() % (round % 2 == 0 ? 256 : 7));
    peer.write(bytes);
    peer.shut();
    EXPECT_TRUE(session->recorder.wait([&] { return session->recorder.downs.size() == 1; }));
  }
  ASSERT_TRUE(send(*other, kControlStream, "still here"));
  Recorder& recorder = server.session(0)->recorder;
  EXPECT_TRUE(recorder.wait([&] { return recorder.messages.size() == 1; }));
  EXPECT_EQ(recorder.downs.size(), 0U);
}

TEST_F(PeerViolationTest, a_peer_that_reads_nothing_makes_no_queue_without_end) {
  Descriptor socket = net::testing::make_socket();
  const int small = 4096;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  ASSERT_TRUE(net::testing::connect(socket, server.address().port));
  peer = RawPeer(std::move(socket));
  server.prepare = [](Server::Session& s) {
    s.recorder.admit = [](StreamId, std::string_view) -> Result<void> {
      return fail(Errc::resource_exhausted, "no memory for it, and this is a text of some length");
    };
  };
  peer.write(wire::pack_hello(wire::kVersions, CreditRule::required, {}));
  session = server.session(0);
  ASSERT_NE(session, nullptr);
  ASSERT_TRUE(session->recorder.wait([&] { return session->recorder.ups.size() == 1; }));
  // Each message is answered by a reset that the peer does not read.
  std::vector<std::byte> burst;
  for (int i = 0; i < 100; ++i) {
    const auto packed = wire::pack({FrameType::message, Part::whole, 0, 5, 0, 0});
    burst.insert(burst.end(), packed.begin(), packed.end());
  }
  Recorder& recorder = session->recorder;
  for (int i = 0; i < 1000; ++i) {
    for (int n = 0; n < 100; ++n) session->endpoint->grant(5, 0);
    peer.write(burst);
    if (recorder.wait([&] { return !recorder.downs.empty(); }, 0ms)) break;
  }
  ASSERT_TRUE(recorder.wait([&] { return recorder.downs.size() == 1; }));
  EXPECT_EQ(recorder.downs[0].code, Errc::overloaded);
  EXPECT_EQ(recorder.downs[0].message, "the peer does not read what it is sent");
}

TEST_F(PeerViolationTest, messages_to_a_peer_that_reads_nothing_are_bounded) {
  greet();
  std::size_t queued = 0;
  Result<void> last;
  const std::vector<std::byte> body(1000);
  while ((last = send(*session->endpoint, kControlStream, "x", body))) {
    ASSERT_LT(++queued, 100'000U);
  }
  EXPECT_EQ(last.error().code, Errc::overloaded);
}

}  // namespace
}  // namespace aloft::channel
