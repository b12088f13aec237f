#include "netns.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::uint16_t kPort = 7000;

// A socket of a host of the network, made by a thread that is there for a moment.
class HostSocket {
 public:
  HostSocket(const Network& network, const std::string& host) {
    std::thread([&] {
      const auto entered = network.enter(host);
      ASSERT_TRUE(entered) << entered.error().message;
      fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    }).join();
  }
  explicit HostSocket(int fd) : fd_(fd) {}
  ~HostSocket() { ::close(fd_); }
  HostSocket(const HostSocket&) = delete;
  HostSocket& operator=(const HostSocket&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

  // Whether there is something to read within `limit`.
  [[nodiscard]] bool readable(std::chrono::milliseconds limit) const {
    pollfd poll{fd_, POLLIN, 0};
    return ::poll(&poll, 1, static_cast<int>(limit.count())) == 1;
  }
  void send(std::string_view text) const {
    ASSERT_EQ(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  [[nodiscard]] std::string receive(std::chrono::milliseconds limit) const {
    if (!readable(limit)) return "";
    std::array<char, 4096> chunk{};
    const ssize_t got = ::recv(fd_, chunk.data(), chunk.size(), 0);
    return {chunk.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
  }

 private:
  int fd_ = -1;
};

sockaddr_in socket_address(const std::string& host) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kPort);
  ::inet_pton(AF_INET, host.c_str(), &address.sin_addr);
  return address;
}

class NetworkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto missing = Network::what_is_missing()) GTEST_SKIP() << *missing;
    auto made = Network::make();
    ASSERT_TRUE(made) << made.error().message;
    network_.emplace(std::move(*made));
    for (const char* host : {"one", "two"}) {
      const auto added = network_->add_host(host);
      ASSERT_TRUE(added) << added.error().message;
    }
  }
  // A connection from "one" to "two".
  void connect() {
    const HostSocket listener(*network_, "two");
    const sockaddr_in address = socket_address(network_->address("two"));
    const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
    ASSERT_EQ(::bind(listener.fd(), generic, sizeof address), 0) << std::strerror(errno);
    ASSERT_EQ(::listen(listener.fd(), 1), 0);
    one_.emplace(*network_, "one");
    ASSERT_EQ(::connect(one_->fd(), generic, sizeof address), 0) << std::strerror(errno);
    two_.emplace(::accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  }

  std::optional<Network> network_;
  std::optional<HostSocket> one_;
  std::optional<HostSocket> two_;
};

TEST_F(NetworkTest, hosts_reach_each_other_and_nobody_else_reaches_them) {
  ASSERT_NO_FATAL_FAILURE(connect());
  one_->send("hello");
  EXPECT_EQ(two_->receive(5s), "hello");
  // The test itself has no way to this address.
  const int outside = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const sockaddr_in address = socket_address(network_->address("two"));
  EXPECT_NE(::connect(outside, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(outside);
}

TEST_F(NetworkTest, a_cut_is_silent_and_what_was_sent_arrives_when_it_heals) {
  ASSERT_NO_FATAL_FAILURE(connect());
  one_->send("before");
  ASSERT_EQ(two_->receive(5s), "before");
  ASSERT_TRUE(network_->cut("two"));
  one_->send("during");
  EXPECT_FALSE(two_->readable(300ms));
  EXPECT_FALSE(one_->readable(0ms)) << "the sender is told";
  ASSERT_TRUE(network_->heal("two"));
  EXPECT_EQ(two_->receive(10s), "during");
}

TEST_F(NetworkTest, a_cut_between_two_leaves_each_of_them_everybody_else) {
  ASSERT_TRUE(network_->add_host("three"));
  ASSERT_NO_FATAL_FAILURE(connect());
  one_->send("before");
  ASSERT_EQ(two_->receive(5s), "before");
  ASSERT_TRUE(network_->cut_between("two", "one"));
  one_->send("during");
  EXPECT_FALSE(two_->readable(300ms));
  EXPECT_FALSE(one_->readable(0ms)) << "the sender is told";
  for (const char* host : {"one", "two"}) {
    auto ping = Process::start(network_->command(
        host, {"bash", "-c", "echo > /dev/tcp/" + network_->address("three") + "/7"}));
    ASSERT_TRUE(ping) << ping.error().message;
    // Nobody listens there; but somebody says so.
    EXPECT_EQ(ping->wait(5s), 1);
    EXPECT_NE(ping->standard_error().find("refused"), std::string::npos) << ping->transcript();
  }
  ASSERT_TRUE(network_->heal_between("one", "two"));
  EXPECT_EQ(two_->receive(10s), "during");
  ASSERT_TRUE(network_->heal_between("one", "three")) << "what is whole is healed";
}

TEST_F(NetworkTest, a_shaped_link_carries_what_it_says) {
  ASSERT_NO_FATAL_FAILURE(connect());
  ASSERT_TRUE(network_->shape("two", {.bits_per_second = 16'000'000, .queue = 50ms}));
  constexpr std::size_t kBytes = 1'000'000;  // half a second
  const auto started = Clock::now();
  std::thread sender([&] { one_->send(std::string(kBytes, 'x')); });
  std::size_t received = 0;
  while (received < kBytes) {
    const std::string chunk = two_->receive(5s);
    if (chunk.empty()) break;
    received += chunk.size();
  }
  sender.join();
  EXPECT_EQ(received, kBytes);
  EXPECT_GT(Clock::now() - started, 400ms);
}

TEST_F(NetworkTest, a_command_runs_on_its_host_as_a_process_of_its_own) {
  auto process = Process::start(network_->command("two", {"ip", "-4", "-o", "addr", "show"}));
  ASSERT_TRUE(process) << process.error().message;
  ASSERT_EQ(process->wait(5s), 0);
  EXPECT_NE(process->standard_output().find(network_->address("two") + "/"), std::string::npos)
      << process->transcript();
  auto sleeper = Process::start(network_->command("two", {"sleep", "60"}));
  ASSERT_TRUE(sleeper);
  const std::string name = "/proc/" + std::to_string(sleeper->pid()) + "/comm";
  const auto until = Clock::now() + 5s;
  std::string comm;
  while (comm != "sleep" && Clock::now() < until) std::ifstream(name) >> comm;
  EXPECT_EQ(comm, "sleep");
  sleeper->kill();
  EXPECT_EQ(sleeper->wait(5s), 128 + SIGKILL);
}

TEST_F(NetworkTest, leaves_nothing_behind) {
  const std::string mine = "aloft-" + std::to_string(::getpid()) + "-";
  const auto left = [&] {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/run/netns"))
      count += entry.path().filename().string().starts_with(mine) ? 1U : 0U;
    return count;
  };
  EXPECT_EQ(left(), 3U);
  network_.reset();
  EXPECT_EQ(left(), 0U);
}

}  // namespace
}  // namespace aloft::testing
