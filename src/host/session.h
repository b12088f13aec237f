// One UE's connection: its modules, the streams to their instances, and what it may do on them.
//
// The session is the channel's Receiver: everything here runs on the I/O thread and only routes.
// Modules are opened by the ModuleOpener's thread, calls run by the InstanceWorkers' threads,
// movable ends, which outlive it, by the EndRunners'. A UE that breaks the protocol on the control
// stream loses its session; on another stream, that stream's message.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "channel/endpoint.h"
#include "function/protocol.h"
#include "host/inference_turns.h"
#include "host/module_opener.h"
#include "host/session_ends.h"
#include "host/session_rights.h"
#include <aloft/result.h>

namespace aloft::host {

// Something in a session that does not end: its process has to.
struct Stuck {
  std::uint64_t session = 0;
  Digest blamed;                // a model, or the module when no inference is under way
  std::string what;             // for people, e.g. "an inference of the model sha256:..."
  std::optional<Overdue> call;  // in `session`
  std::optional<EndKey> end;    // absent as well: a model is being loaded
};

class Session final : public channel::Receiver {
 public:
  // `ended` is called once, on the I/O thread, when the link is gone; it must not destroy the
  // session. `services` and what it points at outlive the session. Without `rights` it may do all
  // that the services have.
  Session(std::uint64_t id, std::string peer, const SessionServices& services,
          std::shared_ptr<const SessionRights> rights, std::function<void()> ended);
  ~Session() override;  // only when ended() or never started; finish() first

  // I/O thread, before any other callback.
  void start(std::unique_ptr<channel::Endpoint> endpoint);

  // Waits for the end of what runs here. One thread, not the I/O thread, when ended().
  void finish();

  // --- any thread ----------------------------------------------------------------------
  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] const std::shared_ptr<const SessionRights>& rights() const { return rights_; }
  [[nodiscard]] bool ended() const { return ended_.load(std::memory_order_acquire); }
  // Ends the link; the UE is told why. What runs is asked to end.
  void close(const Error& why);
  // What does not end though it was told to, or its time is over.
  [[nodiscard]] std::optional<Stuck> stuck(Clock::time_point now) const;
  // Answers the UE in place of the worker that cannot, as the process ends.
  void answer_for(const Stuck& stuck, const Error& why);

 private:
  Result<std::span<std::byte>> on_message_begin(channel::StreamId stream,
                                                std::span<const std::byte> head,
                                                std::uint64_t body_size) override;
  void on_message_end(channel::StreamId stream) override;
  void on_message_abandoned(channel::StreamId stream, const Error& why) override;
  void on_credit(channel::StreamId stream, std::uint64_t capacity) override;
  void on_reset(channel::StreamId stream, const Error& why) override;
  void on_sent(channel::StreamId stream, std::uint64_t token, const Result<void>& outcome) override;
  void on_up(std::span<const std::byte> peer_hello) override;
  void on_down(const Error& why, std::chrono::steady_clock::time_point last_heard) override;

  [[nodiscard]] Result<void> on_control(std::span<const std::byte> head, std::uint64_t body_size);
  [[nodiscard]] Result<void> on_end_message(std::span<const std::byte> head);
  [[nodiscard]] Result<std::span<std::byte>> on_call_stream(channel::StreamId stream,
                                                            InstanceWorker& worker,
                                                            const function::Message& message,
                                                            std::uint64_t body_size);
  // Null when no instance has this stream.
  [[nodiscard]] InstanceWorker* worker_of(channel::StreamId stream) const;
  void close_module(std::uint32_t id);
  // Gives modules that were closed back once nothing of them is under way. What runs on when its
  // module is closed (a call that was given up) is looked at again with a later message.
  void sweep_closed();
  void add(std::unique_ptr<OpenedModule> module);
  void stop();

  const std::uint64_t id_;
  const std::string peer_;
  const SessionServices& services_;
  const std::shared_ptr<const SessionRights> rights_;
  const std::function<void()> on_ended_;
  std::atomic<bool> ended_ = false;
  // Shared with the ends that are attached here, which may outlive the session.
  const std::shared_ptr<InferenceTurns> turns_ = std::make_shared<InferenceTurns>();
  std::unique_ptr<channel::Endpoint> endpoint_;
  std::unique_ptr<SessionEnds> ends_;  // I/O thread
  std::size_t closing_ = 0;            // modules that were closed; I/O thread

  mutable std::mutex mutex_;  // for what the opener adds to while the I/O thread reads
  std::vector<std::unique_ptr<OpenedModule>> modules_;
  std::vector<InstanceWorker*> workers_;  // by stream, from ModelUpload::kFirstCallStream on

  std::unique_ptr<ModuleOpener> opener_;  // last: it uses all of the above
};

}  // namespace aloft::host
