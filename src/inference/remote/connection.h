// One connection of a client to the inference process, from its socket to its end: who waits for
// which answer.
//
// Its thread reads what comes and hands it to whoever called. When the connection ends, everybody
// who waits is told so, once, and the connection is of no use any more.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "inference/remote/messages.h"
#include "wire/packet_socket.h"
#include <aloft/result.h>

namespace aloft::inference::remote {

// Waits for the answer to a call.
class Caller {
 public:
  virtual ~Caller() = default;
  // From the connection's thread; must not block. `descriptor` comes with Memory.
  virtual void on_answer(std::uint32_t call, Message& answer, wire::Descriptor descriptor) = 0;
  // No answer comes: the connection has ended.
  virtual void on_lost(std::uint32_t call) = 0;
};

// Thread rule: any thread. Whoever made it calls finish() before it lets go of it, so that the last
// of those who share it may be anybody, its own thread among them.
class Connection {
 public:
  // `ended` is told from the connection's thread when it has ended, after all callers.
  Connection(wire::Descriptor socket, std::function<void()> ended);
  ~Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // What the server says first. Errors: deadline_exceeded, unreachable, version_mismatch.
  [[nodiscard]] Result<Hello> hello(std::chrono::milliseconds limit);

  // A number for a call, unlike those of all that are under way.
  [[nodiscard]] std::uint32_t next_call();
  // Sends `message`, which is the call `call`; `caller` is told how it ends. Errors: unreachable
  // (nobody is told then).
  [[nodiscard]] Result<void> call(std::uint32_t call, const Message& message,
                                  std::shared_ptr<Caller> caller);
  // Sends what has no answer. A connection that does not take it has ended, or does now.
  void tell(const Message& message);
  // Nobody waits for that answer any more; true: nor was anybody told.
  bool forget(std::uint32_t call);
  // Sends, and waits for the answer. Errors: unreachable, deadline_exceeded, and what the server
  // answers with Failed.
  struct Answer {
    Message message;
    wire::Descriptor descriptor;
  };
  [[nodiscard]] Result<Answer> ask(std::uint32_t call, const Message& message,
                                   std::chrono::steady_clock::time_point until);

  // Whoever waits is told; nothing is sent any more.
  void end();
  void finish();  // end(), and waits for its thread, once
  [[nodiscard]] bool ended() const;

 private:
  void read();
  void take(Message message, wire::Descriptor descriptor);

  const wire::Descriptor socket_;
  const std::function<void()> on_ended_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint32_t, std::shared_ptr<Caller>> callers_;
  std::uint32_t last_call_ = 0;
  std::optional<Hello> hello_;
  bool ended_ = false;
  std::thread thread_;  // last: it uses all of the above
};

// An Error as the other process tells it: a code that is none becomes `internal`.
[[nodiscard]] Error error_of(const Failed& failed);

}  // namespace aloft::inference::remote
