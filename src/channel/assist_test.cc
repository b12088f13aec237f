// A thread that waits reads the link itself (Endpoint::assist).
#include <atomic>
#include <future>
#include <thread>

#include <gtest/gtest.h>

#include "channel/tcp.h"
#include "channel/testing/raw_peer.h"
#include "channel/testing/recorder.h"

namespace aloft::channel {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class AssistTest : public ::testing::Test {
 protected:
  void SetUp() override {
    client.at_end = [this](StreamId) {
      EXPECT_EQ(inside.fetch_add(1), 0);
      teller = std::this_thread::get_id();
      if (++told == wanted) done = true;
      told.notify_all();
      EXPECT_EQ(inside.fetch_sub(1), 1);
    };
    EndpointOptions options = with_hello("ue");
    options.receive = CreditRule::not_required;
    ue = connect_tcp(io, server.address(), options, client);
    session = server.session(0);
    ASSERT_NE(session, nullptr);
    ASSERT_TRUE(client.wait([&] { return !client.ups.empty(); }));
    // The link is at work: a message has come.
    ASSERT_TRUE(send(*session->endpoint, 5, "first"));
    ASSERT_TRUE(client.wait([&] { return client.messages.size() == 1; }));
  }
  void TearDown() override {
    ue.reset();
    session->endpoint.reset();
  }
  // Assists until it has; somebody_assists() may be in its way for a moment.
  void stay() {
    while (!ue->assist(done, Clock::time_point::max())) std::this_thread::yield();
  }
  // Waits until a thread assists: another one is turned away then.
  [[nodiscard]] bool somebody_assists() { return somebody_assists(*ue); }
  [[nodiscard]] static bool somebody_assists(Endpoint& endpoint) {
    const auto limit = Clock::now() + 10s;
    std::atomic<bool> yes = true;
    while (Clock::now() < limit) {
      if (!endpoint.assist(yes, Clock::now())) return true;
      std::this_thread::yield();
    }
    return false;
  }

  std::atomic<int> inside = 0;
  std::atomic<int> told = 0;
  std::atomic<int> wanted = 2;
  std::atomic<bool> done = false;
  std::atomic<std::thread::id> teller;
  IoThread io;
  IoThread server_io;
  Server server{server_io, with_hello("handler")};
  Recorder client;
  std::unique_ptr<Endpoint> ue;
  Server::Session* session = nullptr;
};

TEST_F(AssistTest, a_thread_that_waits_is_told_itself) {
  std::thread::id waiter;
  std::thread thread([&] {
    waiter = std::this_thread::get_id();
    stay();
  });
  ASSERT_TRUE(somebody_assists());
  ASSERT_TRUE(send(*session->endpoint, 5, "second"));
  thread.join();
  EXPECT_TRUE(done);
  EXPECT_EQ(teller.load(), waiter);

  // From then on the I/O thread is told again.
  ASSERT_TRUE(send(*session->endpoint, 5, "third"));
  told.wait(2);  // The recorder counts the message before it tells of it.
  EXPECT_NE(teller.load(), waiter);
}

TEST_F(AssistTest, it_ends_at_its_time) {
  const auto start = Clock::now();
  EXPECT_TRUE(ue->assist(done, start + 20ms));
  EXPECT_GE(Clock::now() - start, 20ms);
}

TEST_F(AssistTest, it_returns_at_once_where_all_is_done) {
  done = true;
  EXPECT_TRUE(ue->assist(done, Clock::time_point::max()));
}

TEST_F(AssistTest, a_nudge_has_it_look) {
  std::thread thread([&] { stay(); });
  ASSERT_TRUE(somebody_assists());
  done = true;
  ue->nudge();
  thread.join();
}

TEST_F(AssistTest, the_end_of_the_link_ends_it) {
  std::thread thread([&] { stay(); });
  ASSERT_TRUE(somebody_assists());
  session->endpoint->close({Errc::refused, "enough"});
  thread.join();
  ASSERT_TRUE(client.wait([&] { return !client.downs.empty(); }));
  EXPECT_EQ(client.downs[0].message, "enough");
}

// More than the kernel takes at once: who assists writes the rest.
TEST_F(AssistTest, it_writes_on_what_the_kernel_did_not_take) {
  session->endpoint->grant(7, 16'000'000);
  ASSERT_TRUE(client.wait([&] { return !client.credits.empty(); }));
  session->recorder.at_end = [this](StreamId) {
    EXPECT_TRUE(send(*session->endpoint, 5, "second"));
  };
  const auto body = pattern(16'000'000, 1);
  const std::span<const std::byte> whole(body);
  const auto sending = ue->send_quietly({.stream = 7, .head = {}, .body = {&whole, 1}, .token = 1});
  ASSERT_TRUE(sending);
  EXPECT_EQ(*sending, Sending::under_way);
  stay();
  ASSERT_EQ(session->recorder.messages.size(), 1U);
  EXPECT_TRUE(session->recorder.messages[0].body == body);
  ASSERT_TRUE(client.wait([&] { return client.sent.size() == 1; }));
}

// Without haste a message waits for the next, but not for long.
TEST_F(AssistTest, what_has_no_haste_is_sent_all_the_same) {
  for (int i = 0; i < 100; ++i) {
    done = true;
    EXPECT_TRUE(ue->assist(done, Clock::time_point::max()));
    session->endpoint->grant(7, 10);
    ASSERT_TRUE(client.wait([&] { return client.credits.size() == std::size_t(i) + 1; }));
    ASSERT_TRUE(ue->send_quietly({.stream = 7, .head = {}, .body = {}, .haste = Haste::none}));
    ASSERT_TRUE(session->recorder.wait(
        [&] { return session->recorder.messages.size() == std::size_t(i) + 1; }));
  }
}

TEST_F(AssistTest, a_peer_that_falls_silent_ends_it) {
  EndpointOptions options = with_hello("deaf");
  options.receive = CreditRule::not_required;
  RawListener deaf;
  Recorder recorder;
  auto endpoint = connect_tcp(io, {"127.0.0.1", deaf.port()}, options, recorder);
  const auto peer = deaf.accept_and_greet();
  ASSERT_TRUE(recorder.wait([&] { return !recorder.ups.empty(); }));
  // Until it is of use the link may not have begun.
  while (recorder.downs.empty() && !endpoint->assist(done, Clock::time_point::max()))
    std::this_thread::yield();
  ASSERT_TRUE(recorder.wait([&] { return !recorder.downs.empty(); }));
  EXPECT_EQ(recorder.downs[0].code, Errc::unreachable);
}

// A callback that blocks breaks the rule for callbacks, which shows what waits for one: nothing of
// other links, and no heartbeat of its own.
TEST_F(AssistTest, neither_heartbeats_nor_other_links_wait_for_a_callback_of_who_assists) {
  EndpointOptions options = with_hello("ue");
  options.receive = CreditRule::not_required;
  options.dead_after = 20s;  // the other end says nothing
  RawListener listener;
  Recorder recorder;
  std::atomic<bool> go_on = false;
  std::atomic<bool> blocked = false;
  recorder.at_end = [&](StreamId stream) {
    if (stream != 7) return;
    blocked = true;
    blocked.notify_all();
    go_on.wait(false);
    done = true;
  };
  auto endpoint = connect_tcp(io, {"127.0.0.1", listener.port()}, options, recorder);
  const RawPeer peer = listener.accept_and_greet();
  peer.write_frame({wire::FrameType::message, wire::Part::whole, 1, 5, 1, 0}, bytes_of("x"));
  ASSERT_TRUE(recorder.wait([&] { return recorder.messages.size() == 1; }));
  std::thread thread([&] {
    while (!done && !endpoint->assist(done, Clock::time_point::max())) std::this_thread::yield();
  });
  EXPECT_TRUE(somebody_assists(*endpoint));
  peer.write_frame({wire::FrameType::message, wire::Part::whole, 1, 7, 1, 0}, bytes_of("x"));
  blocked.wait(false);

  // More of them than could be under way already, so that the link's timers have come meanwhile.
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(peer.read_ping()) << i;
  EXPECT_TRUE(send(*session->endpoint, 5, "second"));
  EXPECT_TRUE(client.wait([&] { return client.messages.size() == 2; }));

  go_on = true;
  go_on.notify_all();
  thread.join();
  endpoint.reset();
}

TEST_F(AssistTest, threads_that_come_and_go_lose_nothing_and_are_told_one_at_a_time) {
  constexpr int kMessages = 20'000;
  wanted = kMessages + 1;
  const auto body = pattern(100, 1);
  std::thread sender([&] {
    for (int i = 0; i < kMessages; ++i) {
      // The bound on messages that wait is met by waiting.
      for (;;) {
        const auto sent = send(*session->endpoint, 5, std::to_string(i), body);
        if (sent) break;
        if (sent.error().code != Errc::overloaded) {
          ADD_FAILURE() << sent.error().message;
          done = true;
          return;
        }
        std::this_thread::yield();
      }
    }
  });
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      // Who is turned away waits for something else; nobody asks without end.
      while (!done) {
        if (!ue->assist(done, Clock::now() + 1ms)) std::this_thread::sleep_for(100us);
      }
    });
  }
  sender.join();
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(client.messages.size(), std::size_t(kMessages) + 1);
  for (int i = 0; i < kMessages; ++i)
    ASSERT_EQ(client.messages[std::size_t(i) + 1].head, std::to_string(i));
}

}  // namespace
}  // namespace aloft::channel
