// Opens modules for one session: finds the module, gets the models that it needs, makes warm
// instances.
//
// All of that takes time (a model is uploaded and loaded, a module compiled), so it happens on a
// thread of the session's own, one module after the other, while calls to modules that are open go
// on.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/digest.h"
#include "channel/endpoint.h"
#include "function/protocol.h"
#include "host/instance_worker.h"
#include "host/model_store.h"
#include "host/model_upload.h"
#include "host/repository.h"
#include "host/session_rights.h"
#include <aloft/result.h>

namespace aloft::host {

struct SessionLimits {
  std::size_t modules = 8;      // open in one session
  std::uint32_t instances = 4;  // of one module
  std::uint64_t argument_bytes =
      4U << 20U;  // capacity of a buffer when the UE does not say what it needs
  runtime::InstanceLimits instance;
  std::chrono::milliseconds call{10'000};     // arrival of the arguments to the end of the call
  std::chrono::milliseconds end_grace{2000};  // for what was told to end
  std::chrono::milliseconds upload{60'000};   // of one model, and a second for each MiB of it
  std::chrono::milliseconds load{60'000};     // of one model into the engine
};

class EndTable;
class CallCounts;
class CallRecording;

// What all sessions share. Borrowed by them.
struct SessionServices {
  Repository* repository = nullptr;
  ModelStore* models = nullptr;
  const Quarantine* quarantine = nullptr;
  EndTable* ends = nullptr;
  CallCounts* counts = nullptr;              // null: calls are not counted
  CallFigures* figures = nullptr;            // the same
  const CallRecording* recording = nullptr;  // null: no call is kept
  std::string wasm_engine;                   // for ModuleOpened
  std::string inference_engine;              // for ModuleOpened
  SessionLimits limits;
};

// A module that is open in a session. `context` is what the workers share; it stays where it is.
struct OpenedModule {
  std::uint32_t id = 0;
  WorkerContext context;
  std::vector<std::unique_ptr<InstanceWorker>> workers;
  std::vector<channel::StreamId> streams;  // the first of each worker, then the second of each
  // The module's number of each class that the UE named.
  std::vector<std::uint32_t> classes;
  bool closed = false;  // the UE calls nothing of it any more; under the session's mutex
};

class ModuleOpener {
 public:
  // `opened` is called on the opener's thread with a module that is ready, before the UE hears of
  // it. `rights` outlive the opener; null: no limits beside those of the services.
  ModuleOpener(std::uint64_t session, const SessionServices& services, const SessionRights* rights,
               channel::Endpoint& endpoint, InferenceTurns& turns,
               std::function<void(std::unique_ptr<OpenedModule>)> opened);
  ~ModuleOpener();  // finish()
  ModuleOpener(const ModuleOpener&) = delete;
  ModuleOpener& operator=(const ModuleOpener&) = delete;

  // I/O thread. The UE hears ModuleOpened or ModuleRefused.
  void open(function::OpenModule request);
  // A module was closed, and is given back once nothing of it is under way.
  void note_closed();
  // Destroys a module that was closed, on the opener's thread, since that waits for its workers.
  void give_back(std::unique_ptr<OpenedModule> module);
  [[nodiscard]] ModelUpload& upload() { return upload_; }
  // What was sent on stream 0 with this token, below kTokens, has left. Credits of a module's call
  // streams follow its ModuleOpened and must not overtake it, as they do what the kernel has not
  // taken.
  static constexpr std::uint64_t kTokens = 1ULL << 32U;
  void sent(std::uint64_t token);

  // Waits for a model that is being loaded; opens no more. One thread.
  void finish();

  // Any thread.
  void stop();
  // The model that has been loading for longer than it may.
  [[nodiscard]] std::optional<Digest> overdue(Clock::time_point now) const;

 private:
  void work();
  [[nodiscard]] Result<std::unique_ptr<OpenedModule>> make(const function::OpenModule& request);
  void count_refusal(const function::OpenModule& request, Errc why) const;
  [[nodiscard]] Result<void> check_functions(const function::OpenModule& request,
                                             const runtime::Manifest& manifest) const;
  [[nodiscard]] Result<std::vector<std::uint32_t>> find_classes(
      const function::OpenModule& request, const runtime::Manifest& manifest) const;
  [[nodiscard]] Result<std::vector<NamedModel>> get_models(const function::OpenModule& request,
                                                           const runtime::Manifest& manifest);
  [[nodiscard]] Result<std::shared_ptr<inference::Graph>> get_model(std::uint32_t module_id,
                                                                    const Digest& digest,
                                                                    std::uint64_t size);
  [[nodiscard]] Result<void> check_rights(const function::OpenModule& request,
                                          const Digest& digest) const;
  // How many instances may be made; sets what each may have.
  [[nodiscard]] Result<std::uint32_t> share_out(std::uint32_t wanted, WorkerContext& context) const;
  [[nodiscard]] Result<void> make_workers(const function::OpenModule& request,
                                          OpenedModule& module);

  const std::uint64_t session_;
  const SessionServices& services_;
  const SessionRights* const rights_;
  channel::Endpoint& endpoint_;
  InferenceTurns& turns_;
  const std::function<void(std::unique_ptr<OpenedModule>)> opened_;
  ModelUpload upload_;
  std::size_t modules_ = 0;  // opened, and not given back; the opener's thread
  channel::StreamId next_stream_ = ModelUpload::kFirstCallStream;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<function::OpenModule> requests_;
  std::vector<std::unique_ptr<OpenedModule>> given_back_;
  std::size_t closed_ = 0;  // of modules_
  bool stopping_ = false;
  std::map<std::uint64_t, OpenedModule*> unsaid_;  // by the token of their ModuleOpened
  std::uint64_t last_token_ = 0;
  std::optional<Digest> loading_;
  Clock::time_point load_by_ = Clock::time_point::max();

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace aloft::host
