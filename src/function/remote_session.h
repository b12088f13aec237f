// The UE's side of the data plane: one Execution Handler, the modules opened there, and the calls
// that run there.
//
// Keeps a link to the edge (connecting again whenever it is lost), opens the modules on it anew
// each time, gives the edge the models that it lacks, and carries calls over the modules' call
// streams (call_streams.h); and the ends of elastic channels that are attached there (end_links.h).
// Every call that is started ends exactly once: with the edge's Return,
// or with an Error, at the latest when the link is lost.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "channel/endpoint.h"
#include "channel/io_thread.h"
#include "function/call_streams.h"
#include "function/effects.h"
#include "function/end_links.h"
#include "function/log.h"
#include "function/model_uploads.h"
#include "function/protocol.h"
#include "function/remote_session_options.h"
#include <aloft/detail/binding.h>
#include <aloft/result.h>

namespace aloft::function {

// Thread rule: any thread.
class RemoteSession final : private channel::Receiver {
 public:
  // Starts connecting. `io` and `log` outlive the session.
  RemoteSession(SessionOptions options, channel::IoThread& io, const Log& log);
  // Calls that have not ended do so, with `cancelled`, within this.
  ~RemoteSession() override;
  RemoteSession(const RemoteSession&) = delete;
  RemoteSession& operator=(const RemoteSession&) = delete;

  // Carries a call out. Its on_ended() tells when and how it ended: unreachable (no link, module
  // not open, or lost on the way), overloaded (too many calls wait), resource_exhausted (no room at
  // the edge), protocol, cancelled.
  void start(RemoteCall& call);
  // Lends the calling thread, which waits for a call, to the link: see channel::Endpoint::assist().
  bool assist(const std::atomic<bool>& done, std::chrono::steady_clock::time_point until);
  void nudge();
  // Ends a call early with `why`, if it has not ended. The edge is told. The call's owner keeps it
  // until on_ended().
  void cancel(RemoteCall& call, const Error& why);

  // Leaves the edge where it is (calls under way there end with `unreachable`), and connects to
  // another one; none: idles. Waits until nothing of the old link is left, at most about 2 s. One
  // thread at a time, which is no I/O thread and no callback's.
  void route(std::optional<Route> to);
  // A newer ticket for the same route, for when the link is made anew. Any thread.
  void renew_ticket(std::vector<std::byte> ticket);
  // Waits until no call is under way here and no end has anything here, as when the link is lost;
  // or until `deadline`, or a stop. Answers whether that is so. Stops are requested without a lock
  // that on_change takes.
  [[nodiscard]] bool wait_idle(std::chrono::steady_clock::time_point deadline,
                               const std::stop_token& stop = {});

  struct LinkState {
    bool up = false;
    bool ready = false;
    std::chrono::steady_clock::time_point since{};  // of `up` being what it is, or of the route
    // While not up, or not ready: what will not pass by waiting.
    std::optional<Error> refused;
  };
  [[nodiscard]] LinkState link_state() const;

  // The ends of elastic channels at this edge. May outlive the session, and is of no use then.
  [[nodiscard]] const std::shared_ptr<EndLinks>& ends() const { return ends_; }

  // Whether calls of this module's functions can go out now. Cheap.
  [[nodiscard]] bool is_open(const ModuleDescriptor& module) const;
  // Whether those of all modules can. Cheap.
  [[nodiscard]] bool is_ready() const { return ready_.load(std::memory_order_acquire); }
  // Waits until they can. Errors: at once what the edge refused (a module, the version, us) or
  // broke; else unreachable after `timeout`, with what was last in the way.
  [[nodiscard]] Result<void> wait_ready(std::chrono::milliseconds timeout) const;

  // Why they cannot, to one who has waited so long.
  [[nodiscard]] Error why_not_ready(std::chrono::milliseconds waited) const;

  // --- Hot upgrade, for upgrade_module() (module_upgrade.h): a version beside the one that serves.
  // Opens it, now or when the link is up. What is prepared is adopted or discarded before the next.
  void prepare(ModuleToOpen next);
  enum class Prepared : std::uint8_t { open, no_link };
  // Waits until it is open. Errors: why the edge refuses it, deadline_exceeded.
  [[nodiscard]] Result<Prepared> wait_prepared(const ModuleDescriptor& module,
                                               std::chrono::steady_clock::time_point until) const;
  // Calls go to it from now on. The version before stays open, for the calls that it has and for
  // ends that have to be recovered there.
  void adopt(const ModuleDescriptor& module);
  void discard(const ModuleDescriptor& module);
  // No end needs a version but the one that serves: others are closed with their last call.
  void retire(const ModuleDescriptor& module);
  // Of the version that serves.
  [[nodiscard]] std::string module_digest(const ModuleDescriptor& module) const;

  // Whether the edge decodes JPEG, as it said last. Cheap.
  [[nodiscard]] bool decodes_jpeg() const { return decodes_jpeg_.load(std::memory_order_acquire); }

  // The last sign of life of an edge that was ready and was lost since, once: to say how long a
  // takeover took.
  [[nodiscard]] bool loss_pending() const { return loss_pending_.load(std::memory_order_acquire); }
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> take_loss();

  // As the edge said it last; empty before.
  [[nodiscard]] std::string wasm_engine() const;
  [[nodiscard]] std::string inference_engine() const;
  [[nodiscard]] channel::EndpointStats stats() const;

 private:
  // A module of the program, for those without the lock.
  struct Offer {
    const ModuleDescriptor* module = nullptr;
    std::atomic<bool> open = false;  // the version that serves is
  };
  // One version of a module.
  struct Module {
    enum class State : std::uint8_t { closed, opening, opened, refused };
    enum class Role : std::uint8_t { serves, prepared, retiring };

    Module(ModuleToOpen wanted, CallStreams::Limits limits)
        : to_open(std::move(wanted)), asked(to_open.digest), streams(limits) {}

    ModuleToOpen to_open;
    const std::string asked;  // the digest, which a route may say otherwise
    std::uint32_t id = 0;
    State state = State::closed;
    Role role = Role::serves;
    bool unwanted = false;             // to be closed once it is open and has no call
    Error refusal;                     // while refused
    std::string logged_refusal;        // said once, not after every reconnect
    std::uint64_t argument_bytes = 0;  // the most that a call had
    CallStreams streams;
  };

  // What on_sent is about: nothing, the arguments of a call, a model, a message of an end.
  enum class Token : std::uint64_t { control = 0, call = 1, model = 2, end = EndLinks::kToken };

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

  Result<std::span<std::byte>> on_control(std::span<const std::byte> head, std::uint64_t body_size);
  [[nodiscard]] static std::string describe(const Error& error);

  // All below: under the lock. Those about modules, models and the link are in
  // remote_session_modules.cc.
  Result<void> handle(const Message& message, Effects& effects);
  Result<void> handle(const ModelWanted& wanted, Effects& effects);
  Result<void> handle(const ModuleOpened& opened);
  Result<void> handle(const ModuleRefused& refused, Effects& effects);
  Result<void> handle(const GuestLog& line, Effects& effects);
  void take_down(const Error& why, std::chrono::steady_clock::time_point last_heard,
                 Effects& effects);
  void open(Module& module, Effects& effects);
  // What open_modules_ of the ends is to be, unless a version is still being opened.
  [[nodiscard]] std::optional<OpenVersions> settled_versions(const ModuleDescriptor& module) const;
  void publish(const Module& module);
  // Closes one that is unwanted, if it can be now; it is gone then.
  void close_if_over(Module& module);
  void refuse(Module& module, Error why, Effects& effects);
  void send_uploads(Effects& effects);
  void send_calls(Module& module, Effects& effects);
  void send_call(Module& module, const CallStreams::Step& step, Effects& effects);
  Result<void> send_control(const Message& message);
  void update_ready(Effects& effects);
  [[nodiscard]] Module* module_of(channel::StreamId stream);
  // The one that serves, by default.
  [[nodiscard]] Module* find_module(const ModuleDescriptor& module,
                                    Module::Role role = Module::Role::serves) const;
  [[nodiscard]] Module* find_module(std::uint32_t id) const;
  [[nodiscard]] Module* module_with(const RemoteCall& call) const;
  // Why no call of this module can go out.
  [[nodiscard]] Error why_not(const Module& module) const;
  [[nodiscard]] Error not_ready(std::chrono::milliseconds waited) const;
  // What will not pass by waiting.
  [[nodiscard]] std::optional<Error> final_error() const;

  // What is shown to the edge in a handshake that begins now. I/O thread.
  [[nodiscard]] std::vector<std::byte> hello();
  // Under the lock, which endpoint callbacks wait for.
  void connect(const Route& route);
  // What waits for the session's state looks at it.
  void announce();

  channel::IoThread& io_;
  const channel::EndpointOptions link_options_;
  const std::function<void()> on_change_;
  const std::uint64_t max_reply_;
  const CallStreams::Limits limits_;
  const Log& log_;
  std::vector<std::unique_ptr<Offer>> offers_;  // the list does not change
  const std::shared_ptr<EndLinks> ends_;
  std::atomic<bool> ready_ = false;
  std::atomic<bool> decodes_jpeg_ = false;
  std::atomic<bool> loss_pending_ = false;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::string edge_;  // for people
  std::string session_;
  std::vector<std::byte> ticket_;
  std::vector<std::byte> resume_secret_;  // what the edge gave for it; empty: none yet
  bool resuming_ = false;                 // it was shown in the last handshake
  bool draining_ = false;                 // somebody waits for calls to end
  // Threads that use endpoint_ without the lock, which they come with; they leave without it.
  std::atomic<std::size_t> assisting_ = 0;
  bool up_ = false;
  std::chrono::steady_clock::time_point since_{};             // of up_
  Error link_error_{Errc::unreachable, "not connected yet"};  // while not up
  std::string logged_link_error_;
  std::chrono::steady_clock::time_point lost_last_heard_{};
  std::string wasm_engine_;
  std::string inference_engine_;
  ModelUploads uploads_;
  std::vector<std::unique_ptr<Module>> modules_;
  std::uint32_t last_id_ = 0;
  // The module of which a version was just opened or refused: its ends are not told yet.
  const ModuleDescriptor* just_settled_ = nullptr;
  std::unique_ptr<channel::Endpoint> endpoint_;
};

}  // namespace aloft::function
