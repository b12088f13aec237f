// What the network may do to a cluster without any credential: connections that say nothing, say it
// slowly, or say something else.
#include <array>
#include <atomic>
#include <cstdlib>
#include <initializer_list>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/descriptor.h"
#include "host/testing/hellos.h"
#include "net/address.h"
#include "net/testing/loopback.h"
#include "support/eventually.h"
#include "world.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// A connection to a port of this machine.
class Socket {
 public:
  explicit Socket(std::uint16_t port) : socket_(net::testing::connect_to(port)) {
    const int on = 1;
    ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  [[nodiscard]] bool connected() const { return static_cast<bool>(socket_); }
  bool send(std::span<const std::byte> bytes) const {
    return ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  // Whether the other end has closed it, or does within this time.
  [[nodiscard]] bool is_closed_within(std::chrono::milliseconds limit) const {
    const auto end = std::chrono::steady_clock::now() + limit;
    for (std::array<char, 4096> junk{};;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          end - std::chrono::steady_clock::now());
      if (left <= 0ms) return false;
      pollfd waiting{socket_.get(), POLLIN, 0};
      if (::poll(&waiting, 1, static_cast<int>(left.count())) <= 0) continue;
      if (::recv(socket_.get(), junk.data(), junk.size(), 0) <= 0) return true;
    }
  }

 private:
  Descriptor socket_;
};

std::uint16_t port_of(const std::string& address) {
  return net::Address::parse(address).value().port;
}

// As many as this process may have, at most `wanted`.
std::vector<Socket> flood(std::uint16_t port, std::size_t wanted) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  std::vector<Socket> all;
  while (all.size() < wanted) {
    Socket one(port);
    if (!one.connected()) break;
    all.push_back(std::move(one));
  }
  return all;
}

std::size_t many() { return std::getenv("ALOFT_FULL") != nullptr ? 10'000 : 1000; }

class NetworkAttack : public HostileTest {};

TEST_F(NetworkAttack, thousands_of_silent_connections_keep_no_device_out_of_a_manager) {
  Bystander bystander(cluster());
  const auto silent = flood(port_of(cluster().manager()), many());
  ASSERT_GE(silent.size(), 500U);
  const ClusterDevice device = cluster().device("good");
  const auto session = device.open({&probe_});
  ASSERT_TRUE(session) << session.error().message;
  EXPECT_TRUE(device.renew(session->id()));
  EXPECT_TRUE(device.close(session->id()).ok());
  bystander.expect_undisturbed();
}

TEST_F(NetworkAttack, thousands_of_silent_connections_keep_no_device_out_of_its_handler) {
  Bystander bystander(cluster());
  const ClusterDevice device = cluster().device("good");
  const auto session = device.open({&probe_});
  ASSERT_TRUE(session) << session.error().message;
  const auto port = port_of(session->placement().address());
  for (int round = 0; round < 3; ++round) {
    const auto silent = flood(port, 600);
    ASSERT_GE(silent.size(), 300U);
    const auto ue = device.connect(session->placement());
    EXPECT_TRUE(ue->wait_up(kPatience)) << "among them, while they are there";
    // Only so many at a time: the oldest are closed, those that came last after a second or so.
    EXPECT_TRUE(silent.front().is_closed_within(kPatience));
    EXPECT_TRUE(silent.back().is_closed_within(kPatience));
  }
  bystander.expect_undisturbed();
}

TEST_F(NetworkAttack, connections_that_come_and_go_without_end_keep_no_device_out) {
  Bystander bystander(cluster());
  const ClusterDevice device = cluster().device("good");
  const auto session = device.open({&probe_});
  ASSERT_TRUE(session) << session.error().message;
  const std::array doors{port_of(cluster().manager()), port_of(session->placement().address())};
  std::atomic<std::size_t> came = 0;
  std::vector<std::jthread> crowd;
  for (int i = 0; i < 2; ++i) {
    crowd.emplace_back([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        for (const auto door : doors) came += Socket(door).connected() ? 1U : 0U;
      }
    });
  }
  ASSERT_TRUE(eventually(kPatience, [&] { return came > 1000; }));
  const auto another = device.open({&probe_});
  ASSERT_TRUE(another) << another.error().message;
  const auto ue = device.connect(session->placement());
  EXPECT_TRUE(ue->wait_up(kPatience)) << "among them, while they come";
  for (auto& one : crowd) one.request_stop();
  crowd.clear();
  bystander.expect_undisturbed();
}

TEST_F(NetworkAttack, a_handshake_that_comes_byte_by_byte_is_cut_off) {
  Bystander bystander(cluster());
  const auto port = port_of(bystander.session().placement().address());
  // The beginning of a ClientHello that says that it is long.
  const std::array<std::byte, 5> begin{std::byte{22}, std::byte{3}, std::byte{1}, std::byte{0x3f},
                                       std::byte{0xff}};
  const Socket slow(port);
  ASSERT_TRUE(slow.send(begin));
  const std::array<std::byte, 1> more{std::byte{1}};
  const auto end = std::chrono::steady_clock::now() + kPatience;
  bool cut = false;
  while (!cut && std::chrono::steady_clock::now() < end) {
    cut = slow.is_closed_within(50ms) || !slow.send(more);
  }
  EXPECT_TRUE(cut);
  bystander.expect_undisturbed();
}

TEST_F(NetworkAttack, junk_and_other_protocols_are_sent_away) {
  Bystander bystander(cluster());
  const auto port = port_of(bystander.session().placement().address());
  for (const std::string_view text :
       {std::string_view("GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        std::string_view("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), std::string_view("ALOFT\x01\x00\x00"),
        std::string_view("\x16\x03\x01\xff\xff\x01\xff\xff\xff\xff\xff\xff\xff\xff", 14)}) {
    const Socket one(port);
    ASSERT_TRUE(one.send(std::as_bytes(std::span(text))));
    EXPECT_TRUE(one.is_closed_within(kPatience)) << text;
  }
  bystander.expect_undisturbed();
}

TEST_F(NetworkAttack, a_hello_that_lies_about_its_lengths_is_refused) {
  Bystander bystander(cluster());
  const std::string& address = bystander.session().placement().address();
  // MessagePack: a map of 2^32-1 entries; a ticket of 4 GiB; one text inside of another for ever.
  const auto bytes = [](std::initializer_list<int> values) {
    std::vector<std::byte> all;
    for (const int value : values) all.push_back(static_cast<std::byte>(value));
    return all;
  };
  auto nested = bytes({0x81, 0xa4, 'r', 'o', 'l', 'e'});
  nested.insert(nested.end(), 4000, std::byte{0x91});
  for (const auto& hello : {bytes({0xdf, 0xff, 0xff, 0xff, 0xff}),
                            bytes({0x82, 0xa4, 'r', 'o', 'l', 'e',  0xa2, 'u',  'e',  0xa6, 't',
                                   'i',  'c',  'k', 'e', 't', 0xc6, 0xff, 0xff, 0xff, 0xff, 0x00}),
                            bytes({0xdb, 0xff, 0xff, 0xff, 0xff}), nested}) {
    EXPECT_NE(refusal(evil_, address, hello), "let in, or silent");
  }
  bystander.expect_undisturbed();
}

TEST_F(NetworkAttack, a_device_that_breaks_the_protocol_loses_its_own_link) {
  Bystander bystander(cluster());
  const auto ue = linked(evil_, {&probe_});
  ASSERT_TRUE(ue);
  const std::string_view junk = "no message of ours";
  (void)ue->endpoint().send(
      {.stream = channel::kControlStream, .head = std::as_bytes(std::span(junk)), .body = {}});
  const auto down = ue->wait_down(kPatience);
  ASSERT_TRUE(down);
  EXPECT_EQ(down->code, Errc::protocol) << down->message;
  bystander.expect_undisturbed();
}

}  // namespace
}  // namespace aloft::testing
