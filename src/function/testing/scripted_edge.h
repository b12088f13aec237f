// An Execution Handler made of a test's script: a real endpoint over TCP, speaking protocol.h, that
// does only what the test says, and shows everything that it hears.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "channel/endpoint.h"
#include "channel/io_thread.h"
#include "channel/tcp.h"
#include "function/protocol.h"
#include <aloft/result.h>

namespace aloft::function::testing {

using Bytes = std::vector<std::byte>;

// What the edge heard, in order.
struct Arrived {
  channel::StreamId stream = 0;
  Message message;
  Bytes body;
};
struct Connected {};
struct Lost {};
struct StreamReset {
  channel::StreamId stream = 0;
  Error why;
};
using Event = std::variant<Arrived, Connected, Lost, StreamReset>;

// Thread rule: any thread. It listens on a port of its own as long as it lives.
class ScriptedEdge final : private channel::Acceptor, private channel::Receiver {
 public:
  struct Options {
    std::string role = "execution_handler";
    std::optional<Error> refuse_links;  // every handshake is refused with this
    std::uint16_t port = 0;             // 0: any
    std::string resume_secret{};        // said in its hello
    bool refuses_secrets = false;       // whoever shows one
  };
  ScriptedEdge() : ScriptedEdge(Options{}) {}
  explicit ScriptedEdge(Options options);
  ~ScriptedEdge() override;

  [[nodiscard]] net::Address address() const { return address_; }

  // The next event; waits for it. Fails the test (and throws) after 10 s without one.
  [[nodiscard]] Event next();
  // The next event, which has to be this kind of message, or of event.
  template <class M>
  M take(channel::StreamId* stream = nullptr, Bytes* body = nullptr) {
    Arrived arrived = take_event<Arrived>();
    if (stream != nullptr) *stream = arrived.stream;
    if (body != nullptr) *body = std::move(arrived.body);
    return std::get<M>(std::move(arrived.message));
  }
  template <class E>
  E take_event() {
    return std::get<E>(next());
  }
  // The same without a limit; nothing once `stop` is requested.
  [[nodiscard]] std::optional<Event> next(const std::stop_token& stop);

  void send(channel::StreamId stream, const Message& message, Bytes body = {});
  void grant(channel::StreamId stream, std::uint64_t capacity);
  void reset(channel::StreamId stream, const Error& why);
  // What the last peer showed in its handshake.
  [[nodiscard]] Bytes last_hello();
  // As a peer that is killed: the link is gone at once. It goes on listening.
  void drop_link();
  // Bodies are received from now on only after the returned object is gone.
  [[nodiscard]] std::unique_lock<std::mutex> stop_reading() { return std::unique_lock(reading_); }

  // The usual: takes OpenModule, opens it with these streams and grants each the capacity.
  void open_module(const std::vector<channel::StreamId>& streams, std::uint64_t capacity);

 private:
  Result<channel::Receiver*> accept(std::span<const std::byte> peer_hello,
                                    const channel::PeerInfo& peer) override;
  void ready(channel::Receiver* receiver, std::unique_ptr<channel::Endpoint> endpoint) override;
  Result<std::span<std::byte>> on_message_begin(channel::StreamId stream,
                                                std::span<const std::byte> head,
                                                std::uint64_t body_size) override;
  void on_message_end(channel::StreamId stream) override;
  void on_message_abandoned(channel::StreamId stream, const Error& why) override;
  void on_credit(channel::StreamId, std::uint64_t) override {}
  void on_reset(channel::StreamId stream, const Error& why) override;
  void on_sent(channel::StreamId, std::uint64_t token, const Result<void>&) override;
  void on_up(std::span<const std::byte> peer_hello) override;
  void on_down(const Error& why, std::chrono::steady_clock::time_point last_heard) override;

  void push(Event event);

  const Options options_;
  std::mutex reading_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Event> events_;
  std::map<channel::StreamId, Arrived> arriving_;
  std::map<std::uint64_t, Bytes> sending_;  // by token
  std::uint64_t last_token_ = 0;
  Bytes last_hello_;
  net::Address address_;
  channel::IoThread io_;
  std::unique_ptr<channel::Endpoint> endpoint_;
  std::unique_ptr<channel::Listener> listener_;
};

// Plays the usual edge by itself, on a thread of its own: opens every module, and answers each call
// with what `answer` makes of it.
class AutomaticEdge {
 public:
  struct Answer {
    Return head;  // call_id is set for it
    Bytes body;
  };
  using Answering = std::function<std::optional<Answer>(const Call&, const Bytes& arguments)>;

  // A call without an answer is never answered.
  explicit AutomaticEdge(Answering answer, std::uint16_t port = 0,
                         std::uint64_t capacity = 1U << 20U);

  [[nodiscard]] std::string address() const { return edge_.address().to_string(); }
  [[nodiscard]] std::uint16_t port() const { return edge_.address().port; }
  // Waits until a call has come in that is not answered.
  void wait_for_unanswered_call();
  void drop_link() { edge_.drop_link(); }

 private:
  void work(const std::stop_token& stop);

  const Answering answer_;
  const std::uint64_t capacity_;
  ScriptedEdge edge_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int unanswered_ = 0;
  std::jthread thread_;
};

}  // namespace aloft::function::testing
