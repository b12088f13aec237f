// The Execution Handler: runs guest functions for the UEs that connect, many sessions at once, in
// one worker process.
//
// Here everything is wired: engines, repository, model store, sessions. It also looks after what no
// session can do for itself: ending sessions whose link is gone, and noticing what does not end. A
// guest that loops is interrupted, and so is an inference; but an operator of a model may ignore
// that for minutes, and then only the end of the process helps:
//
//   call's time over -> its inference is told to end -> 2 s later it still runs
//     -> the model is put into quarantine            (no successor takes it again)
//     -> hand_over()                                 (a successor serves the listening socket from
//     now on)
//     -> its UE gets the call's error; all UEs get `close` (going away), and come back to the
//     successor
//     -> end()                                       (this process is gone)
//
// The UEs of other sessions lose nothing: calls are pure, and are run again at the successor or on
// the device, and objects are recovered there from their checkpoints.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/units.h"
#include "channel/tcp.h"
#include "host/call_counts.h"
#include "host/call_figures.h"
#include "host/call_recording.h"
#include "host/end_table.h"
#include "host/gate.h"
#include "host/model_store.h"
#include "host/quarantine.h"
#include "host/repository.h"
#include "host/session.h"
#include "runtime/engine.h"
#include <aloft/result.h>

namespace aloft::host {

struct ExecutionHandlerOptions {
  std::filesystem::path repository;  // folder of modules
  std::filesystem::path
      cache;  // folder for compiled modules, models and the quarantine; made when missing
  std::shared_ptr<inference::Engine> inference{};  // null: one of its own, as the next ones say
  int inference_threads = 1;                       // of one inference
  inference::Device inference_device = inference::Device::cpu;
  std::filesystem::path inference_libraries{};  // inference::EngineOptions
  int inferences = 2;                           // at a time; a session has one (inference_turns.h)
  std::size_t max_sessions = 64;
  SessionLimits session;
  EndLimits ends;
  std::shared_ptr<const channel::TlsContext> tls;  // null: in clear
  std::chrono::microseconds spin{100};             // channel::EndpointOptions::look
  std::string boot_id;                             // tells UEs one start of an edge from the next
  std::shared_ptr<Gate> gate{};  // who gets in, and to what; null: everybody, to everything
  runtime::CacheUse cache_use = runtime::CacheUse::read_write;  // of compiled modules
  std::filesystem::path compiled{};         // folder of compiled modules; empty: one in `cache`
  std::optional<RecorderOptions> record{};  // none: no call is kept
};

// How a handler whose process is worn out gives way to another; see above.
struct Succession {
  std::function<void()> hand_over;
  std::function<void()> end;  // may return in tests only
};

// Thread rule: one thread, which may not be an I/O thread.
class ExecutionHandler final : private channel::Acceptor {
 public:
  // Errors: not_found (no such repository), internal (an engine or the cache cannot be made),
  // invalid_argument.
  [[nodiscard]] static Result<std::unique_ptr<ExecutionHandler>> create(
      ExecutionHandlerOptions options, Succession succession);
  ~ExecutionHandler() override;  // close(), then waits for all that runs
  ExecutionHandler(const ExecutionHandler&) = delete;
  ExecutionHandler& operator=(const ExecutionHandler&) = delete;

  // Serves a socket that listens already, taking it over. Errors: invalid_argument.
  [[nodiscard]] Result<net::Address> serve(int socket);
  // Accepts no more, tells all UEs to go, and waits until they are gone, at most `limit`.
  void close(const Error& why, std::chrono::milliseconds limit);
  // Ends what is connected for this session of the cluster, of its placements `first` to `last`.
  // The gate is to have been told before where they are not to come back. Any thread.
  void end_placements(std::string_view session, std::uint64_t first, std::uint64_t last,
                      const Error& why);
  // In place of ExecutionHandlerOptions::tls, for connections that come from now on.
  void show(std::shared_ptr<const channel::TlsContext> tls);
  // Of the calls that run here. Any thread.
  [[nodiscard]] CallFigures& figures() { return figures_; }
  // The movable ends at this edge.
  [[nodiscard]] EndTable& ends() { return *ends_; }
  // Whether calls are kept: as ExecutionHandlerOptions::record says, until it is told otherwise.
  [[nodiscard]] CallRecording& recording() { return recording_; }
  // Of the calls that end at this edge.
  [[nodiscard]] CallCounts& counts() { return counts_; }

 private:
  explicit ExecutionHandler(ExecutionHandlerOptions options, Succession succession);
  [[nodiscard]] Result<void> start();

  Result<channel::Receiver*> accept(std::span<const std::byte> peer_hello,
                                    const channel::PeerInfo& peer) override;
  std::vector<std::byte> hello_for(channel::Receiver* receiver) override;
  void ready(channel::Receiver* receiver, std::unique_ptr<channel::Endpoint> endpoint) override;

  [[nodiscard]] std::vector<std::shared_ptr<Session>> sessions();
  [[nodiscard]] std::optional<Stuck> stuck(Clock::time_point now) const;  // with the mutex held
  void reap();
  void watch();
  void give_way(const Stuck& stuck);

  const ExecutionHandlerOptions options_;
  const Succession succession_;
  Quarantine quarantine_;
  std::shared_ptr<inference::Engine> inference_;
  std::shared_ptr<runtime::Engine> engine_;
  std::unique_ptr<Repository> repository_;
  std::unique_ptr<ModelStore> models_;
  CallRecording recording_;
  CallFigures figures_;
  std::unique_ptr<EndTable> ends_;
  CallCounts counts_;
  SessionServices services_;
  std::vector<std::byte> hello_;
  std::vector<std::byte> accepted_hello_;  // I/O thread: of accepted_; empty: hello_

  channel::IoThread io_;
  std::mutex listener_mutex_;
  std::unique_ptr<channel::Listener> listener_;

  std::shared_ptr<Session> accepted_;  // I/O thread: between accept() and ready()

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<Session>> sessions_;
  std::uint64_t last_session_ = 0;
  bool ending_ = false;         // no session comes any more
  bool unwatched_ = false;      // and nothing runs
  std::thread reaper_, watch_;  // last: they use all of the above
};

}  // namespace aloft::host
