// The Host Offload Handler: what a host of a cluster does for its managers.
//
//   Prepare(tenant, session, modules)
//     -> modules fetched, verified, compiled          host_modules.h
//     -> the tenant's Execution Handler runs          tenant_process.h
//     -> it is shown the modules, and told of the placement
//     -> its address and boot id go into the session's ticket
//   Release(tenant, session, generation)
//     -> the placement's devices are let in no more
//
// A tenant's process stays when its last session is gone, for the next one; it goes when its room
// is needed for another tenant's.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "aloft/v1/host.pb.h"
#include "host/control/call_table.h"
#include "host/control/host_modules.h"
#include "host/control/spare_places.h"
#include "host/control/tenant_process.h"
#include "ops/log.h"
#include "ops/trace.h"
#include <aloft/result.h>

namespace aloft::host {

struct OffloadHandlerOptions {
  std::string host_id;
  std::filesystem::path state;       // a folder that is this process's alone
  std::filesystem::path program;     // aloft-exec
  std::string listen = "127.0.0.1";  // where tenants' processes listen, each at a port of its own
  std::string advertise;             // the host as devices call it; empty: as `listen`
  std::filesystem::path certificate, key;  // of the data plane
  std::optional<uid_t>
      first_user;  // tenants get this user and those after it; none: this process's
  Need need = Need::everything;
  std::size_t max_tenants = 64;
  std::size_t spare_places = 0;     // made in advance, for tenants to come (spare_places.h)
  std::size_t max_sessions = 1024;  // of a tenant
  int inference_threads = 1;
  int inferences = 2;  // at a time, of a tenant
  std::uint64_t instance_memory = std::uint64_t{256} << 20U;
  // What a tenant's process may have beside the memory of its sessions: models, buffers, itself.
  std::uint64_t tenant_memory = std::uint64_t{1} << 30U;
  // The host's inference process; none: Execution Handlers infer themselves.
  std::optional<InferProcessOptions> inference{};
  std::uint64_t inference_memory = std::uint64_t{1} << 30U;  // a tenant's tensors there
  std::uint64_t inference_models = std::uint64_t{2} << 30U;  // a tenant's models there, as files
  FetchModule fetch;
  std::chrono::milliseconds compile_limit{60'000};
  std::uint64_t compile_memory = std::uint64_t{1} << 30U;
  Bytes max_modules = 2_GiB;
  Bytes max_compiled = 4_GiB;
  ops::LogFormat log_format = ops::LogFormat::text;  // of tenants' processes
};

// Thread rule: any thread; prepare() takes as long as fetching and compiling do.
class OffloadHandler {
 public:
  // Removes what a former process left of its tenants. Errors: internal, refused, not_found.
  [[nodiscard]] static Result<std::unique_ptr<OffloadHandler>> create(
      OffloadHandlerOptions options);
  ~OffloadHandler();  // end()
  OffloadHandler(const OffloadHandler&) = delete;
  OffloadHandler& operator=(const OffloadHandler&) = delete;

  // Errors: invalid_argument; refused (a module is not signed as the tenant wants it, or imports
  // what it may not have); not_found, corrupt (a module); unreachable (the repository; or the host
  // is going away); overloaded, resource_exhausted, deadline_exceeded, internal.
  // `trace`: as the manager says it.
  [[nodiscard]] Result<v1::PrepareResponse> prepare(const v1::PrepareRequest& request,
                                                    const ops::Trace& trace = {});
  // Errors: as prepare's.
  [[nodiscard]] Result<v1::InspectModuleResponse> inspect(const v1::InspectModuleRequest& request);
  // Errors: invalid_argument. What is not here is no error.
  [[nodiscard]] Result<void> release(const v1::ReleaseRequest& request);

  // What the managers say with each heartbeat.
  void hear(const v1::HeartbeatResponse& heartbeat);
  [[nodiscard]] std::optional<identity::ClusterTime> cluster_time();
  // What became of the calls that the last answer asked to count; and some of its placements, in
  // turns, so that a manager can say which of them have ended while it could not be told.
  void report(v1::HeartbeatRequest& heartbeat);

  [[nodiscard]] std::vector<Digest> compiled_modules() const { return modules_->compiled(1024); }
  // What compiled modules depend on, as text.
  [[nodiscard]] std::string compiled_for() const { return modules_->compiled_for(); }
  // The GPUs that its inference process can use, by name.
  [[nodiscard]] std::vector<std::string> gpus() const;
  // Null: there is none.
  [[nodiscard]] InferProcess* inference() const { return inference_.get(); }
  [[nodiscard]] std::size_t sessions();  // that are placed here; waits for what is being prepared
  // For those who operate the host.
  struct TenantUse {
    std::string tenant;
    pid_t process = -1;        // none now
    std::uint64_t starts = 0;  // of processes
    std::size_t sessions = 0;
  };
  [[nodiscard]] std::vector<TenantUse> tenants_use();
  [[nodiscard]] HostModules::Use modules_use() const { return modules_->use(); }
  [[nodiscard]] CallTable& calls() { return calls_; }
  // The certificate of the data plane was renewed, in its files; PEM.
  void show(const std::string& certificate, const std::string& key);
  // "TENANT: what", for each measure of confinement that could not be had.
  [[nodiscard]] std::vector<std::string> missing();
  // Prepares no more.
  void drain() { draining_ = true; }
  // All devices are told to go, all processes ended.
  void end();

 private:
  struct Tenant;
  struct Wanted;

  explicit OffloadHandler(OffloadHandlerOptions options);
  [[nodiscard]] Result<Wanted> read(const v1::PrepareRequest& request) const;
  [[nodiscard]] Result<std::shared_ptr<Tenant>> tenant(const std::string& name);
  [[nodiscard]] Result<std::unique_ptr<TenantPlace>> make_place();
  [[nodiscard]] Result<void> start(Tenant& tenant, std::uint32_t gpus);
  [[nodiscard]] bool make_room_for_a_tenant();  // with mutex_ held
  [[nodiscard]] std::vector<std::shared_ptr<Tenant>> tenants();
  void report_placements(v1::HeartbeatRequest& heartbeat);
  void release(Tenant& tenant, const std::string& session,
               std::uint64_t generation);  // with its mutex held
  void limit(Tenant& tenant);              // with its mutex held
  [[nodiscard]] Result<HostModules::Module> get_module(const std::string& tenant,
                                                       const std::string& name,
                                                       const Digest& digest, const Wanted& wanted);

  const OffloadHandlerOptions options_;
  std::unique_ptr<HostModules> modules_;
  std::unique_ptr<InferProcess> inference_;
  std::atomic<bool> draining_ = false;
  CallTable calls_;  // before the tenants, whose processes report to it
  const std::shared_ptr<PlaceNumbers> numbers_ = std::make_shared<PlaceNumbers>();
  const std::string cgroups_;  // what names of control groups begin with
  std::unique_ptr<SparePlaces> places_;

  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Tenant>> tenants_;
  std::vector<std::array<std::byte, 32>> keys_;
  ClusterTimeHere time_{time_since_boot};

  std::pair<std::string, std::string> reported_;  // tenant and session; report()'s own
};

}  // namespace aloft::host
