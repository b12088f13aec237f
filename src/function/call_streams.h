// The call streams of one opened module: which may send, which are in use and by what call, which
// calls wait.
//
// A stream is one receive buffer of an instance at the edge. Its life, with what moves it on:
//
//            credit            a call is sent                     the Return came
//   idle ------------> ready ------------------> calling --------------------------> idle
//                        |                                                            ^
//                        |  a call's arguments are larger     credit, large enough or |
//                        '-----------------------------> growing ---------------------'  (as for
//                        idle: ready)
//
// Streams of one instance share its thread. Calls are spread over instances, so that none waits
// while another instance has nothing to do; but not calls of a function that takes less time than
// it takes to wake a second thread: those stay together, as few instances as can take them.
//
// An extra call (Rank::extra) does not count among those that may be on streams or wait. It takes a
// stream when no call waits and another stream stays ready.
//
// A call that is given up leaves its stream idle; whatever comes for it later is dropped, and the
// next credit makes the stream ready. A call ends once its outcome is known and the endpoint no
// longer reads its arguments.
//
// Does no I/O and takes no lock. Thread rule: one thread at a time (RemoteSession's lock).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "channel/endpoint.h"
#include "function/remote_call.h"
#include <aloft/result.h>

namespace aloft::function {

class CallStreams {
 public:
  struct Limits {
    std::size_t calls = 4;     // on streams at a time
    std::size_t waiting = 64;  // for a stream
  };
  // Something to send, decided by next(): a Call, or NeedCapacity for it.
  struct Step {
    enum class Kind : std::uint8_t { call, need_capacity };
    Kind kind = Kind::call;
    channel::StreamId stream = 0;
    RemoteCall* call = nullptr;
  };
  // What to tell the edge about a call that was given up.
  enum class GiveUp : std::uint8_t { nothing, reset_stream, cancel_call };
  struct GivenUp {
    GiveUp tell = GiveUp::nothing;
    channel::StreamId stream = 0;
    RemoteCall* ended = nullptr;
  };

  explicit CallStreams(Limits limits) : limits_(limits) {}

  // The streams of a module just opened, no credit yet; stream n is of instance n modulo
  // `instances`, 0: each is of one of its own.
  void open(std::span<const channel::StreamId> streams, std::size_t instances = 0);
  // Forgets the streams; answers all calls, those on streams first. Nothing may read their
  // arguments any more.
  [[nodiscard]] std::vector<RemoteCall*> close();

  [[nodiscard]] bool contains(channel::StreamId stream) const;
  // The call on a stream, or null.
  [[nodiscard]] const RemoteCall* call_on(channel::StreamId stream) const;
  [[nodiscard]] const RemoteCall* find(std::uint64_t number) const;
  // Whether this call is on a stream, or waits for one.
  [[nodiscard]] bool holds(const RemoteCall& call) const;
  // No call is, or does.
  [[nodiscard]] bool idle() const {
    return active_ == 0 && waiting_.empty() && waiting_extra_ == nullptr && !extra_on_stream_;
  }

  // Adds a call to those that wait. False when there are too many; an extra one when one waits or
  // is on a stream.
  [[nodiscard]] bool add(RemoteCall& call);
  // What can be sent now; counts as sent.
  [[nodiscard]] std::optional<Step> next();
  // The call's function took next to no time when it ran last.
  [[nodiscard]] bool is_brief(const RemoteCall& call) const;
  // Calls on streams.
  [[nodiscard]] std::size_t active() const { return active_; }

  // Events. They answer the call that has ended by it, or null; its reply is set.
  [[nodiscard]] RemoteCall* on_credit(channel::StreamId stream, std::uint64_t capacity);
  [[nodiscard]] RemoteCall* on_send_failed(channel::StreamId stream, const Error& why);
  [[nodiscard]] RemoteCall* on_sent(channel::StreamId stream);
  [[nodiscard]] RemoteCall* on_failed(channel::StreamId stream, const Error& why);
  [[nodiscard]] RemoteCall* on_return_end(channel::StreamId stream);
  // A Return begins: memory for its body. Belongs to the stream until on_return_end() hands it to
  // the call.
  [[nodiscard]] std::span<std::byte> on_return_begin(channel::StreamId stream, Return head,
                                                     std::size_t body_size,
                                                     std::uint64_t wire_bytes);
  void on_return_abandoned(channel::StreamId stream);

  // Ends a call early with `why`; nothing when it has ended or is about to.
  [[nodiscard]] GivenUp give_up(RemoteCall& call, const Error& why);

 private:
  struct Stream {
    enum class State : std::uint8_t { idle, ready, growing, calling };
    channel::StreamId id = 0;
    State state = State::idle;
    std::uint64_t capacity = 0;  // when ready; when calling, of a credit that came early
    RemoteCall* call = nullptr;
    std::size_t instance = 0;
    bool brief = false;  // its call is
    // The Return that is coming in.
    Return head;
    std::unique_ptr<std::byte[]> body;
    std::size_t body_size = 0;
    std::uint64_t wire_bytes = 0;
  };

  // What an instance has to do for calls on its streams.
  struct Instance {
    std::size_t brief = 0;  // calls
    std::size_t other = 0;
  };

  [[nodiscard]] Stream* find_stream(channel::StreamId id);
  [[nodiscard]] bool extra_may_go() const;
  // Puts the call on the stream.
  [[nodiscard]] Step begin(RemoteCall& call, Stream& stream);
  // The stream for this call among those that are ready; null: none is.
  [[nodiscard]] Stream* choose(const RemoteCall& call);
  [[nodiscard]] std::size_t& load(const Stream& stream);
  // Takes the call off the stream.
  RemoteCall* release(Stream& stream);
  RemoteCall* settle(Stream& stream, Result<void> outcome);

  const Limits limits_;
  std::vector<Stream> streams_;
  std::vector<Instance> instances_;
  std::vector<bool> brief_;  // by function: it was when it ran last
  std::deque<RemoteCall*> waiting_;
  std::size_t active_ = 0;  // streams with a call, extra ones not counted
  RemoteCall* waiting_extra_ = nullptr;
  bool extra_on_stream_ = false;
};

}  // namespace aloft::function
