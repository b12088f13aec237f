// A receiver for tests: keeps what it is told, and lets a test wait for it instead of sleeping. (A
// little long because tests include it alone: it has no source file.)
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "channel/tcp.h"

namespace aloft::channel::testing {

// Bytes that differ from place to place and from seed to seed.
inline std::vector<std::byte> pattern(std::size_t size, unsigned seed) {
  std::vector<std::byte> bytes(size);
  std::uint32_t state = seed * 2654435761U + 1;
  for (std::byte& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::byte>(state >> 24U);
  }
  return bytes;
}

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class Recorder final : public Receiver {
 public:
  struct Message {
    StreamId stream;
    std::string head;
    std::vector<std::byte> body;  // a copy, made when it was complete
    const std::byte* place;       // where the body was received
  };
  struct Sent {
    StreamId stream;
    std::uint64_t token;
    Result<void> outcome;
  };
  using Told = std::pair<StreamId, Error>;

  // Everything below is read by wait()'s predicate, or under lock().
  std::vector<Message> messages;
  std::vector<StreamId> begun;
  std::vector<std::pair<StreamId, std::uint64_t>> credits;
  std::vector<Told> abandoned;
  std::vector<Told> resets;
  std::vector<Sent> sent;
  std::vector<std::string> ups;  // the peer's hellos
  std::vector<Error> downs;
  std::chrono::steady_clock::time_point last_heard;
  std::chrono::steady_clock::time_point down_at;
  std::vector<std::string> order;  // one word for each call, "begin 5"

  // What to do in a call, on the I/O thread, without the lock.
  std::function<void()> at_up = [] {};
  std::function<void(StreamId)> at_end = [](StreamId) {};
  std::function<void(StreamId)> at_sent = [](StreamId) {};
  std::function<void(StreamId, std::uint64_t)> at_credit = [](StreamId, std::uint64_t) {};
  std::function<void()> at_down = [] {};
  std::function<Result<void>(StreamId, std::string_view head)> admit =
      [](StreamId, std::string_view) { return Result<void>{}; };

  // The next body on `stream` goes there, if it fits; otherwise it goes to memory of the
  // recorder's.
  void provide(StreamId stream, std::span<std::byte> memory) {
    const std::lock_guard lock(mutex_);
    provided_[stream].push_back(memory);
  }

  // Waits until `predicate` holds, which sees a quiet recorder. False after `limit`.
  template <class Predicate>
  [[nodiscard]] bool wait(Predicate predicate,
                          std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, predicate);
  }
  [[nodiscard]] std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }

  Result<std::span<std::byte>> on_message_begin(StreamId stream, std::span<const std::byte> head,
                                                std::uint64_t body_size) override {
    if (auto ok = admit(stream, text_of(head)); !ok) return std::unexpected(ok.error());
    const std::lock_guard lock(mutex_);
    Under& under = under_way_[stream];
    under.head = text_of(head);
    auto& provided = provided_[stream];
    if (!provided.empty() && provided.front().size() >= body_size) {
      under.body = provided.front().first(body_size);
      provided.pop_front();
    } else {
      under.own = std::make_unique<std::byte[]>(body_size);
      under.body = {under.own.get(), body_size};
    }
    begun.push_back(stream);
    note("begin", stream);
    return under.body;
  }
  void on_message_end(StreamId stream) override {
    {
      const std::lock_guard lock(mutex_);
      Under& under = under_way_[stream];
      messages.push_back({stream,
                          std::move(under.head),
                          {under.body.begin(), under.body.end()},
                          under.body.data()});
      under_way_.erase(stream);
      note("end", stream);
    }
    at_end(stream);
  }
  void on_message_abandoned(StreamId stream, const Error& why) override {
    const std::lock_guard lock(mutex_);
    under_way_.erase(stream);
    abandoned.emplace_back(stream, why);
    note("abandoned", stream);
  }
  void on_credit(StreamId stream, std::uint64_t capacity) override {
    {
      const std::lock_guard lock(mutex_);
      credits.emplace_back(stream, capacity);
      note("credit", stream);
    }
    at_credit(stream, capacity);
  }
  void on_reset(StreamId stream, const Error& why) override {
    const std::lock_guard lock(mutex_);
    resets.emplace_back(stream, why);
    note("reset", stream);
  }
  void on_sent(StreamId stream, std::uint64_t token, const Result<void>& outcome) override {
    {
      const std::lock_guard lock(mutex_);
      sent.push_back({stream, token, outcome});
      note("sent", stream);
    }
    at_sent(stream);
  }
  void on_up(std::span<const std::byte> peer_hello) override {
    {
      const std::lock_guard lock(mutex_);
      ups.push_back(text_of(peer_hello));
      note("up", 0);
    }
    at_up();
  }
  void on_down(const Error& why, std::chrono::steady_clock::time_point heard) override {
    {
      const std::lock_guard lock(mutex_);
      downs.push_back(why);
      last_heard = heard;
      down_at = std::chrono::steady_clock::now();
      note("down", 0);
    }
    at_down();
  }

 private:
  struct Under {
    std::string head;
    std::span<std::byte> body;
    std::unique_ptr<std::byte[]> own;
  };

  void note(std::string_view what, StreamId stream) {
    order.push_back(std::string(what) + " " + std::to_string(stream));
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<StreamId, std::deque<std::span<std::byte>>> provided_;
  std::map<StreamId, Under> under_way_;
};

// An acceptor for tests: each connection gets a Recorder of its own; the test waits for the n-th.
class Server final : public Acceptor {
 public:
  struct Session {
    Recorder recorder;
    std::unique_ptr<Endpoint> endpoint;  // after the recorder: destroyed first
    std::string hello;
    std::optional<Digest> key;  // PeerInfo::key
  };

  explicit Server(IoThread& io, EndpointOptions options = {}) {
    auto listening = listen_tcp(io, {"127.0.0.1", 0}, std::move(options), *this);
    if (listening) listener = std::move(*listening);
  }
  ~Server() override {
    listener.reset();
    // A callback that still runs may use the pointer until the endpoint is gone.
    for (auto& session : sessions_) {
      delete session->endpoint.get();
      (void)session->endpoint.release();
    }
  }

  // Decides about a peer's hello; prepares the recorder before any call of it.
  std::function<Result<void>(std::string_view)> admit = [](std::string_view) {
    return Result<void>{};
  };
  std::function<void(Session&)> prepare = [](Session&) {};

  [[nodiscard]] net::Address address() const { return listener->address(); }

  // The n-th session, from 0, waited for; null if it does not come.
  Session* session(std::size_t n) {
    std::unique_lock lock(mutex_);
    const bool came = changed_.wait_for(lock, std::chrono::seconds(10), [&] {
      return sessions_.size() > n && sessions_[n]->endpoint;
    });
    return came ? sessions_[n].get() : nullptr;
  }

  // What a peer is shown in place of EndpointOptions::hello; empty: that.
  std::function<std::vector<std::byte>()> own_hello = [] { return std::vector<std::byte>{}; };
  std::vector<std::byte> hello_for(Receiver*) override { return own_hello(); }

  Result<Receiver*> accept(std::span<const std::byte> peer_hello, const PeerInfo& peer) override {
    if (auto ok = admit(text_of(peer_hello)); !ok) return std::unexpected(ok.error());
    const std::lock_guard lock(mutex_);
    sessions_.push_back(std::make_unique<Session>());
    sessions_.back()->hello = text_of(peer_hello);
    sessions_.back()->key = peer.key;
    prepare(*sessions_.back());
    return &sessions_.back()->recorder;
  }
  void ready(Receiver* receiver, std::unique_ptr<Endpoint> endpoint) override {
    const std::lock_guard lock(mutex_);
    for (auto& session : sessions_) {
      if (&session->recorder == receiver) session->endpoint = std::move(endpoint);
    }
    changed_.notify_all();
  }

  std::unique_ptr<Listener> listener;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Session>> sessions_;
};

// Sends one message whose body is a single buffer.
inline Result<void> send(Endpoint& endpoint, StreamId stream, std::string_view head,
                         std::span<const std::byte> body = {}, std::uint64_t token = 0) {
  return endpoint.send(
      {.stream = stream, .head = bytes_of(head), .body = {&body, 1}, .token = token});
}

inline EndpointOptions with_hello(std::string_view hello) {
  EndpointOptions options;
  const auto bytes = bytes_of(hello);
  options.hello.assign(bytes.begin(), bytes.end());
  return options;
}

}  // namespace aloft::channel::testing
