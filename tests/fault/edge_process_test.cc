// Edges that die, come back, do not answer, or are none.
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "net/testing/loopback.h"
#include "support/edge_fixture.h"
#include "support/process_tree.h"
#include "support/relay.h"
#include "wire/greeting.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class EdgeProcess : public EdgeFixture {};

TEST_F(EdgeProcess, a_worker_that_crashes_is_replaced_and_served_ues_come_back) {
  RawUe ue(address());
  expect_served(ue);
  const auto workers = children_of(edge_->process().pid());
  ASSERT_EQ(workers.size(), 2U) << "one that serves, one that stands by";
  ::kill(workers.front(), SIGKILL);
  ASSERT_TRUE(ue.wait_down(2s));
  const auto gone = std::chrono::steady_clock::now();
  ASSERT_TRUE(ue.wait_up(2s)) << edge_->process().transcript();
  EXPECT_LT(std::chrono::steady_clock::now() - gone, 1s);
  expect_served(ue);
}

TEST_F(EdgeProcess, workers_do_not_outlive_their_supervisor) {
  RawUe ue(address());
  expect_served(ue);
  const auto workers = children_of(edge_->process().pid());
  ASSERT_FALSE(workers.empty());
  edge_->process().kill();
  EXPECT_EQ(edge_->process().wait(2s), 128 + SIGKILL);
  ASSERT_TRUE(ue.wait_down(2s));
  // Their end is told to nobody here, so it is looked for.
  const auto until = std::chrono::steady_clock::now() + 2s;
  for (const pid_t worker : workers) {
    while (::kill(worker, 0) == 0 && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(5ms);
    std::ifstream stat("/proc/" + std::to_string(worker) + "/stat");
    std::string number, name, state;
    stat >> number >> name >> state;
    EXPECT_TRUE(!stat || state == "Z") << "worker " << worker << " is in state " << state;
  }
}

TEST_F(EdgeProcess, an_edge_that_was_killed_and_started_again_is_used_again) {
  RawUe ue(address());
  expect_served(ue);
  edge_->process().kill();
  ASSERT_TRUE(ue.wait_down(2s));
  auto again = DemoEdge::start(cache_.path(), edge_->port());
  ASSERT_TRUE(again) << again.error().message;
  edge_.emplace(std::move(*again));
  expect_served(ue);
}

TEST_F(EdgeProcess, an_edge_that_falls_silent_is_noticed_within_200_ms_and_comes_back) {
  Relay relay(edge_->port());
  RawUe ue({"127.0.0.1", relay.port()});
  expect_served(ue);
  const auto silent = std::chrono::steady_clock::now();
  relay.blackhole();
  const auto down = ue.wait_down(2s);
  ASSERT_TRUE(down);
  EXPECT_EQ(down->code, Errc::unreachable);
  // 200 ms of silence, and what the machine's other work adds.
  EXPECT_LT(std::chrono::steady_clock::now() - silent, 350ms);
  // The edge lets the session go as well.
  EXPECT_TRUE(edge_->process().wait_for_error("session 1: ", 1s));
  EXPECT_TRUE(edge_->process().wait_for_error("is gone", 2s)) << edge_->process().transcript();
  relay.resume();
  expect_served(ue);
}

TEST_F(EdgeProcess, an_edge_that_never_answers_is_given_up_within_its_limit) {
  Relay relay(edge_->port());
  relay.blackhole();
  RawUe ue({"127.0.0.1", relay.port()}, {.hello = {}, .connect_timeout = 300ms});
  const auto down = ue.wait_down(3s);
  ASSERT_TRUE(down);
  EXPECT_EQ(down->code, Errc::unreachable);
}

TEST_F(EdgeProcess, a_peer_that_is_no_ue_is_refused_with_a_reason) {
  codec::Writer writer;
  writer.map(1);
  writer.string("role");
  writer.string("tourist");
  std::vector<std::byte> hello;
  for (const auto segment : writer.segments())
    hello.insert(hello.end(), segment.begin(), segment.end());
  RawUe ue(address(), {.hello = hello});
  const auto down = ue.wait_down(3s);
  ASSERT_TRUE(down);
  EXPECT_EQ(down->code, Errc::refused);
  EXPECT_THAT(down->message, HasSubstr("serves UEs only"));
}

// What the edge answers to these bytes before it closes the connection; none when it does not close
// it in time.
std::optional<std::string> answer_to(std::uint16_t port, std::span<const std::byte> bytes) {
  const Descriptor socket = net::testing::connect_to(port);
  const timeval limit{.tv_sec = 3, .tv_usec = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(bytes.size()))
    return std::nullopt;
  std::string heard;
  std::array<char, 512> chunk{};
  ssize_t got = 0;
  while ((got = ::recv(socket.get(), chunk.data(), chunk.size(), 0)) > 0)
    heard.append(chunk.data(), static_cast<std::size_t>(got));
  if (got == 0 || errno == ECONNRESET) return heard;
  return std::nullopt;
}

TEST_F(EdgeProcess, a_peer_of_another_protocol_is_sent_away) {
  constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: edge\r\n\r\n";
  EXPECT_TRUE(answer_to(edge_->port(), std::as_bytes(std::span(kRequest))));
  RawUe ue(address());
  expect_served(ue);
}

TEST_F(EdgeProcess, a_ue_of_a_later_wire_version_is_told_which_one_is_spoken_here) {
  const auto hello = wire::pack_hello({90, 99}, wire::CreditRule::not_required, {});
  const auto answer = answer_to(edge_->port(), hello);
  ASSERT_TRUE(answer);
  EXPECT_THAT(*answer, HasSubstr("version"));
  RawUe ue(address());
  expect_served(ue);
}

TEST_F(EdgeProcess, a_break_of_the_protocol_costs_the_session_and_not_the_edge) {
  RawUe other(address());
  expect_served(other);
  RawUe ue(address());
  ASSERT_TRUE(ue.wait_up(5s));
  const std::array<std::byte, 4> junk{};
  ASSERT_TRUE(ue.endpoint().send({.stream = channel::kControlStream, .head = junk, .body = {}}));
  const auto down = ue.wait_down(3s);
  ASSERT_TRUE(down);
  EXPECT_EQ(down->code, Errc::protocol);
  expect_served(other);
}

TEST_F(EdgeProcess, more_ues_than_allowed_are_told_that_it_is_overloaded) {
  TempDir cache;
  auto small = DemoEdge::start(cache.path(), 0, {}, {"--max-sessions", "1"});
  ASSERT_TRUE(small) << small.error().message;
  RawUe first({"127.0.0.1", small->port()});
  ASSERT_TRUE(first.wait_up(5s));
  RawUe second({"127.0.0.1", small->port()});
  const auto down = second.wait_down(3s);
  ASSERT_TRUE(down);
  EXPECT_EQ(down->code, Errc::overloaded);
}

}  // namespace
}  // namespace aloft::testing
