// The Execution Handler of one tenant, as the host's daemon has it: a place (tenant_place.h) with a
// socket and a boot id and, at all times, a process behind them.
//
//     TenantProcess --- Child, TenantLink ---> handler, serving
//                   --- Child, TenantLink ---> handler, leaving (it has handed over)
//
// The socket, the boot id and what is known of placements outlive the processes: a handler that
// crashes, or that gives way because of an inference that does not end, is replaced within moments,
// connections made meanwhile wait in the socket's backlog, and devices come back with the tickets
// and resumption secrets that they have. One that keeps crashing is started later and later.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/wake_up.h"
#include "host/control/cgroup.h"
#include "host/control/infer_process.h"
#include "host/control/tenant_place.h"
#include "host/gate.h"
#include "host/process/restart_pause.h"
#include "host/tenant_link.h"
#include "net/address.h"
#include <aloft/result.h>

namespace aloft::host {

struct TenantProcessOptions {
  std::string tenant;
  // Called with what the handler says of its calls, on a thread of this object's; must not call it.
  std::function<void(CallFigures::Module)> figures{};
  std::chrono::milliseconds end_limit{3'000};  // for one that was told to end; then SIGKILL
  // The host's inference process, borrowed, and what the tenant may have there; null: handlers
  // infer themselves.
  InferProcess* inference = nullptr;
  InferClient inference_client{};
};

// Thread rule: any thread.
class TenantProcess {
 public:
  // From here on the place is the tenant's. Returns when it is served. Errors: those of
  // TenantPlace::start_handler, where the place's own handler has ended meanwhile.
  [[nodiscard]] static Result<std::unique_ptr<TenantProcess>> start(
      TenantProcessOptions options, std::unique_ptr<TenantPlace> place);
  ~TenantProcess();  // end()
  TenantProcess(const TenantProcess&) = delete;
  TenantProcess& operator=(const TenantProcess&) = delete;

  [[nodiscard]] const net::Address& address() const { return place_->address(); }
  [[nodiscard]] const std::string& boot_id() const { return place_->boot_id(); }
  // Folders and user.
  [[nodiscard]] const TenantSetup& setup() const { return place_->setup(); }
  // What could not be had of its confinement, its control group included; for people.
  [[nodiscard]] std::vector<std::string> missing();
  // How many processes were started, the first included.
  [[nodiscard]] std::uint64_t starts();
  [[nodiscard]] pid_t pid();  // of the one that serves; -1: none does now

  void trust(std::vector<std::array<std::byte, 32>> keys);
  void hear_time(identity::ClusterTime now);
  // `trace`: under which its open is found in logs; empty: unknown.
  void expect(const std::string& session, std::uint64_t generation, const std::string& trace = {});
  // Renewed, for connections that come from now on; PEM. Its files have it already.
  void show(const std::string& certificate, const std::string& key);
  void release(const std::string& session, std::uint64_t generation);
  [[nodiscard]] std::size_t sessions();  // that are expected
  void limit(const CgroupLimits& limits);
  // Of the inference process: how much of the processors, and how many GPUs.
  void limit_inference(std::uint32_t cpu_millicores, std::uint32_t gpus);

  // Counts calls of these modules, and no others: from now on, of those that were not counted yet.
  void count(std::vector<Digest> modules);
  [[nodiscard]] std::vector<CountedCalls> counts();

  // Its devices are told to go; returns when no process is left.
  void end();

 private:
  struct Worker;
  TenantProcess(TenantProcessOptions options, std::unique_ptr<TenantPlace> place);
  [[nodiscard]] Result<void> start_worker();  // thread_
  [[nodiscard]] Result<void> serve_with(std::unique_ptr<ReadyHandler> handler);
  void tell(const TenantMessage& message);  // with the mutex held
  void run();
  void step();
  void hear_from(Worker& worker);
  void give_inference(Worker& worker);  // with the mutex held

  TenantProcessOptions options_;
  const std::unique_ptr<TenantPlace> place_;
  WakeUp wake_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<std::unique_ptr<Worker>> workers_;
  TrustKeys keys_;
  ClusterTimeHere time_{time_since_boot};
  Placements placements_;
  std::vector<std::string> missing_, not_limited_;
  std::map<Digest, CountedCalls> counted_;  // those that are wanted
  std::uint64_t starts_ = 0;
  bool ending_ = false;
  std::atomic<bool> inference_restarted_ = false;
  std::optional<Result<void>> first_;  // how the first start went

  // thread_ only
  RestartPause restarts_;
  std::chrono::steady_clock::time_point start_at_{};

  std::thread thread_;                                      // it uses all of the above
  std::optional<InferProcess::Subscription> subscription_;  // last: it wakes the thread
};

}  // namespace aloft::host
