// Endpoints, listeners and I/O threads that end at any moment: no callback after, no memory touched
// after, no deadlock.
#include <atomic>
#include <latch>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "channel/tcp.h"
#include "channel/testing/raw_peer.h"
#include "channel/testing/recorder.h"

namespace aloft::channel {
namespace {

using namespace testing;
using namespace std::chrono_literals;

class LifetimeTest : public ::testing::Test {
 protected:
  void connect() {
    EndpointOptions options;
    options.receive = CreditRule::not_required;
    endpoint = connect_tcp(io, server.address(), options, client);
  }
  void connect_and_wait() {
    connect();
    ASSERT_TRUE(client.wait([&] { return client.ups.size() == 1; }));
    session = server.session(0);
    ASSERT_NE(session, nullptr);
    ASSERT_TRUE(session->recorder.wait([&] { return session->recorder.ups.size() == 1; }));
  }
  [[nodiscard]] std::size_t calls() {
    const auto lock = client.lock();
    return client.order.size();
  }

  IoThread io;
  IoThread server_io;
  Server server{server_io};
  Recorder client;
  std::unique_ptr<Endpoint> endpoint;
  Server::Session* session = nullptr;
};

TEST_F(LifetimeTest, destroying_an_endpoint_waits_for_the_callback_that_runs) {
  std::latch entered(1);
  std::latch leave(1);
  std::atomic<bool> left{false};
  client.at_end = [&](StreamId) {
    entered.count_down();
    leave.wait();
    left = true;
  };
  connect_and_wait();
  ASSERT_TRUE(send(*session->endpoint, 5, "x"));
  entered.wait();
  std::atomic<bool> destroyed{false};
  std::jthread destroyer([&] {
    endpoint.reset();
    EXPECT_TRUE(left);
    destroyed = true;
  });
  std::this_thread::sleep_for(20ms);
  EXPECT_FALSE(destroyed);
  leave.count_down();
}

TEST_F(LifetimeTest, no_callback_comes_after_an_endpoint_is_destroyed) {
  connect_and_wait();
  std::atomic<bool> stop{false};
  std::jthread flood([&] {
    while (!stop) {
      if (!send(*session->endpoint, kControlStream, "x")) std::this_thread::yield();
    }
  });
  ASSERT_TRUE(client.wait([&] { return client.messages.size() > 100; }));
  endpoint.reset();
  const std::size_t before = calls();
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(calls(), before);
  stop = true;
}

TEST_F(LifetimeTest, an_endpoint_may_be_destroyed_in_any_callback) {
  const std::vector<std::string> callbacks{"up", "begin", "end", "credit", "sent", "down"};
  for (const std::string& callback : callbacks) {
    SCOPED_TRACE(callback);
    Recorder recorder;
    IoThread own_io;  // ends before the recorder, with the callback that destroyed the endpoint
    Server own_server(server_io);
    own_server.prepare = [](Server::Session& s) {
      // Whatever the callback, it comes: by a credit, messages both ways, and a close.
      s.recorder.at_end = [&s](StreamId) {
        (void)send(*s.endpoint, 6, "x");
        s.endpoint->close({Errc::overloaded, "enough"});
      };
      s.recorder.at_up = [&s] { s.endpoint->grant(5, 10); };
    };
    std::unique_ptr<Endpoint> own;
    std::latch made(1);
    std::latch destroyed(1);
    const auto destroy_in = [&](std::string_view name) {
      if (name != callback) return;
      own.reset();
      destroyed.count_down();
    };
    recorder.at_up = [&] {
      made.wait();
      destroy_in("up");
    };
    recorder.admit = [&](StreamId, std::string_view) {
      destroy_in("begin");
      return Result<void>{};
    };
    recorder.at_end = [&](StreamId) { destroy_in("end"); };
    recorder.at_credit = [&](StreamId stream, std::uint64_t) {
      if (callback == "credit") return destroy_in("credit");
      EXPECT_TRUE(send(*own, stream, "x"));
    };
    recorder.at_sent = [&](StreamId) { destroy_in("sent"); };
    recorder.at_down = [&] { destroy_in("down"); };
    EndpointOptions options;
    options.receive = CreditRule::not_required;
    own = connect_tcp(own_io, own_server.address(), options, recorder);
    made.count_down();
    destroyed.wait();
  }
}

TEST_F(LifetimeTest, an_accepted_endpoint_may_be_destroyed_as_soon_as_it_is_handed_over) {
  class Brief final : public Acceptor {
   public:
    Result<Receiver*> accept(std::span<const std::byte>, const PeerInfo&) override {
      return &recorder;
    }
    void ready(Receiver*, std::unique_ptr<Endpoint> endpoint) override {
      ++count;  // before the peer can tell
      endpoint.reset();
    }
    Recorder recorder;
    std::atomic<int> count{0};
  };
  Brief brief;
  auto listening = listen_tcp(server_io, {"127.0.0.1", 0}, {}, brief);
  ASSERT_TRUE(listening);
  endpoint = connect_tcp(io, (*listening)->address(), {}, client);
  ASSERT_TRUE(client.wait([&] { return !client.downs.empty(); }));
  EXPECT_GE(brief.count, 1);
  listening->reset();
}

TEST_F(LifetimeTest,
       an_accepted_endpoint_whose_link_is_gone_is_not_told_so_again_when_it_is_closed) {
  connect_and_wait();
  endpoint.reset();
  ASSERT_TRUE(session->recorder.wait([&] { return session->recorder.downs.size() == 1; }));
  // Whoever it belongs to may be half destroyed by now.
  session->endpoint->close({Errc::unreachable, "going away"});
  session->endpoint.reset();  // what was left to be told has been told
  const auto lock = session->recorder.lock();
  EXPECT_EQ(session->recorder.downs.size(), 1U);
}

TEST_F(LifetimeTest, an_accepted_endpoint_can_be_used_as_soon_as_it_is_handed_over) {
  class Eager final : public Acceptor {
   public:
    Result<Receiver*> accept(std::span<const std::byte>, const PeerInfo&) override {
      return &recorder;
    }
    void ready(Receiver*, std::unique_ptr<Endpoint> made) override {
      endpoint = std::move(made);
      EXPECT_TRUE(send(*endpoint, kControlStream, "welcome"));
    }
    Recorder recorder;
    std::unique_ptr<Endpoint> endpoint;
  };
  Eager eager;
  auto listening = listen_tcp(server_io, {"127.0.0.1", 0}, {}, eager);
  ASSERT_TRUE(listening);
  endpoint = connect_tcp(io, (*listening)->address(), {}, client);
  EXPECT_TRUE(client.wait([&] { return client.messages.size() == 1; }));
  endpoint.reset();
  listening->reset();
  eager.endpoint.reset();
}

TEST_F(LifetimeTest, memory_is_not_written_after_its_endpoint_is_destroyed) {
  std::vector<std::byte> memory(64'000'000);
  client.provide(5, memory);
  connect_and_wait();
  const auto body = pattern(memory.size(), 1);
  ASSERT_TRUE(send(*session->endpoint, 5, "frame", body));
  ASSERT_TRUE(client.wait([&] { return client.begun.size() == 1; }));
  endpoint.reset();
  const std::vector<std::byte> then = memory;
  ASSERT_TRUE(session->recorder.wait([&] { return session->recorder.downs.size() == 1; }));
  EXPECT_TRUE(memory == then);
}

TEST_F(LifetimeTest, buffers_are_not_read_after_their_endpoint_is_destroyed) {
  connect_and_wait();
  session->endpoint->grant(5, 64'000'000);
  ASSERT_TRUE(client.wait([&] { return client.credits.size() == 1; }));
  auto body = std::make_unique<std::vector<std::byte>>(64'000'000);
  ASSERT_TRUE(send(*endpoint, 5, "frame", *body));
  endpoint.reset();
  body.reset();  // the sanitizer would see it read
  EXPECT_TRUE(session->recorder.wait([&] { return session->recorder.downs.size() == 1; }));
}

TEST_F(LifetimeTest, an_endpoint_may_be_destroyed_before_anything_happened) {
  for (int i = 0; i < 50; ++i) {
    connect();
    endpoint.reset();
  }
}

TEST_F(LifetimeTest, an_endpoint_may_be_destroyed_in_the_handshake_and_between_attempts) {
  RawListener listener;
  endpoint = connect_tcp(io, {"127.0.0.1", listener.port()}, {}, client);
  RawPeer peer = listener.accept();
  ASSERT_TRUE(peer.read_greeting());
  endpoint.reset();
  EXPECT_TRUE(peer.read_end());

  EndpointOptions options;
  options.reconnect_delay = 1h;
  endpoint = connect_tcp(io, {"127.0.0.1", listener.port()}, options, client);
  listener.accept().close_with_rst();
  ASSERT_TRUE(client.wait([&] { return client.downs.size() == 1; }));
  endpoint.reset();
}

TEST_F(LifetimeTest, an_endpoint_that_is_closed_between_attempts_is_told_so_and_rests) {
  EndpointOptions options;
  options.reconnect_delay = 1h;
  RawListener listener;
  endpoint = connect_tcp(io, {"127.0.0.1", listener.port()}, options, client);
  listener.accept().close_with_rst();
  ASSERT_TRUE(client.wait([&] { return client.downs.size() == 1; }));
  endpoint->close({Errc::cancelled, "not needed any more"});
  ASSERT_TRUE(client.wait([&] { return client.downs.size() == 2; }));
  EXPECT_EQ(client.downs[1].message, "not needed any more");
}

TEST_F(LifetimeTest, endpoints_live_on_when_their_listener_ends) {
  connect_and_wait();
  server.listener.reset();
  ASSERT_TRUE(send(*endpoint, kControlStream, "still there"));
  EXPECT_TRUE(session->recorder.wait([&] { return session->recorder.messages.size() == 1; }));
}

TEST_F(LifetimeTest, a_listener_may_end_while_clients_come) {
  for (int i = 0; i < 20; ++i) {
    Server brief(server_io);
    Recorder recorder;
    const auto one = connect_tcp(io, brief.address(), {}, recorder);
    const RawPeer half = RawPeer::connect(brief.address().port);
    half.write("\x89");
    if (i % 2 == 0) EXPECT_TRUE(recorder.wait([&] { return !recorder.ups.empty(); }));
  }
}

TEST_F(LifetimeTest, an_io_thread_may_end_right_after_a_close) {
  for (int i = 0; i < 20; ++i) {
    Recorder recorder;
    IoThread own_io;
    auto own = connect_tcp(own_io, server.address(), {}, recorder);
    if (i % 2 == 0) EXPECT_TRUE(recorder.wait([&] { return !recorder.ups.empty(); }));
    own->close({Errc::cancelled, "bye"});
    own.reset();
  }
}

TEST_F(LifetimeTest, calls_from_many_threads_while_endpoints_come_and_go_are_safe) {
  std::mt19937 random(11);
  for (int round = 0; round < 30; ++round) {
    Recorder recorder;
    Server own_server(server_io);
    own_server.prepare = [](Server::Session& s) {
      s.recorder.at_up = [&s] {
        for (StreamId stream = 1; stream < 5; ++stream) s.endpoint->grant(stream, 200'000);
      };
      s.recorder.at_end = [&s](StreamId stream) {
        s.endpoint->grant(stream, 200'000);
        static const std::vector<std::byte> reply(70'000);
        (void)send(*s.endpoint, stream, "reply", reply);
      };
    };
    const auto body = pattern(200'000, 1);
    EndpointOptions options;
    options.receive = CreditRule::not_required;
    auto own = connect_tcp(io, own_server.address(), options, recorder);
    std::atomic<bool> stop{false};
    {
      std::vector<std::jthread> threads;
      for (StreamId stream = 1; stream < 5; ++stream) {
        threads.emplace_back([&, stream] {
          for (unsigned i = 0; !stop; ++i) {
            (void)send(*own, stream, "request", std::span(body).first(i * 7919 % body.size()));
            if (i % 50 == 0) own->reset(stream, {Errc::cancelled, "now and then"});
            if (i % 1000 == 999) own->close({Errc::cancelled, "in the middle"});
            (void)own->stats();
          }
        });
      }
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
      stop = true;
    }
    own.reset();
  }
}

}  // namespace
}  // namespace aloft::channel
