// The Offload Manager: what a device and an operator ask of a cluster, as the gRPC service
// aloft.v1.OffloadManager.
//
// Each request: who is it (authenticator.h), may it (here, by the tenants file), is it its turn
// (admission.h), then the deed (session_table.h, placer.h). gRPC's threads only take requests in;
// those that wait for the store or for a host do so in pools of a bounded size, opens and moves in
// one of their own, so that a host that answers slowly never keeps a session from being renewed;
// and of that one no tenant has more than a part, so that a tenant whose sessions take long to
// prepare keeps no other one waiting.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include <grpcpp/server_context.h>

#include "aloft/v1/offload_manager.grpc.pb.h"
#include "cluster/admission.h"
#include "cluster/authenticator.h"
#include "cluster/caretaker.h"
#include "cluster/fair_pool.h"
#include "cluster/placer.h"
#include "cluster/pool.h"
#include "cluster/rollouts.h"
#include "cluster/session_table.h"
#include "cluster/session_watchers.h"
#include "cluster/store.h"
#include "ops/metrics.h"
#include "ops/trace.h"

namespace aloft::cluster {

struct OffloadManagerOptions {
  std::string cluster;
  // For a session that asks for none.
  std::uint64_t default_memory_bytes = std::uint64_t{64} << 20U;
  std::uint32_t default_cpu_millicores = 100;
  // Opens and moves; of one tenant at a time, and waiting for that.
  std::size_t placing_threads = 32, placing_part = 24, placing_waiting = 256;
  // As many as the ledger commits together: each waits for that, and a thousand renewals a second
  // are to share their commits.
  std::size_t threads = 48, waiting = 4096;
};

// What it works with; all outlive it.
struct OffloadManagerParts {
  Store& store;
  Tables& tables;
  Ledger& ledger;
  SessionTable& sessions;
  Placer& placer;
  Rollouts& rollouts;
  Caretaker& caretaker;
  Authenticator& authenticator;
  SessionWatchers& watchers;
  ops::Metrics& metrics;
  std::function<std::shared_ptr<const TenantTable>()> tenants;
};

// Thread rule: gRPC's.
class OffloadManagerService final : public v1::OffloadManager::CallbackService {
 public:
  OffloadManagerService(OffloadManagerParts parts, OffloadManagerOptions options);
  ~OffloadManagerService() override;  // after the server has gone

  using Context = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;
  Reactor* OpenSession(Context* context, const v1::OpenSessionRequest* request,
                       v1::Session* response) override;
  Reactor* RenewSession(Context* context, const v1::RenewSessionRequest* request,
                        v1::Session* response) override;
  Reactor* MoveSession(Context* context, const v1::MoveSessionRequest* request,
                       v1::Session* response) override;
  Reactor* CloseSession(Context* context, const v1::CloseSessionRequest* request,
                        v1::CloseSessionResponse* response) override;
  grpc::ServerWriteReactor<v1::Session>* WatchSession(
      Context* context, const v1::WatchSessionRequest* request) override;
  Reactor* ExplainSession(Context* context, const v1::ExplainSessionRequest* request,
                          v1::PlacementReason* response) override;
  Reactor* Ping(Context* context, const v1::PingRequest* request,
                v1::PingResponse* response) override;
  Reactor* ListSessions(Context* context, const v1::ListSessionsRequest* request,
                        v1::ListSessionsResponse* response) override;
  Reactor* ListHosts(Context* context, const v1::ListHostsRequest* request,
                     v1::ListHostsResponse* response) override;
  Reactor* ListTenants(Context* context, const v1::ListTenantsRequest* request,
                       v1::ListTenantsResponse* response) override;
  Reactor* DrainHost(Context* context, const v1::DrainHostRequest* request,
                     v1::DrainHostResponse* response) override;
  Reactor* Rebalance(Context* context, const v1::RebalanceRequest* request,
                     v1::RebalanceResponse* response) override;
  Reactor* ListNearHosts(Context* context, const v1::ListNearHostsRequest* request,
                         v1::ListNearHostsResponse* response) override;
  // In offload_manager_rollouts.cc.
  Reactor* StartRollout(Context* context, const v1::StartRolloutRequest* request,
                        v1::Rollout* response) override;
  Reactor* EndRollout(Context* context, const v1::EndRolloutRequest* request,
                      v1::Rollout* response) override;
  Reactor* ListRollouts(Context* context, const v1::ListRolloutsRequest* request,
                        v1::ListRolloutsResponse* response) override;

 private:
  enum class Rights : std::uint8_t { tenant, operator_ };
  struct Who {
    Caller caller;
    std::shared_ptr<const TenantTable> table;  // keeps the tenant
    const Tenant* tenant = nullptr;            // null: an operator by certificate
    bool is_operator = false;
  };
  // What a request comes to: all right, or why not, and when to ask again.
  struct Answer {
    grpc::Status status;
    std::chrono::milliseconds retry_after{0};  // 0: nothing to wait for

    Answer() = default;
    explicit Answer(const Error& error);
  };
  [[nodiscard]] static Answer gave_up();
  [[nodiscard]] static Answer too_many(std::string what);

  enum class Lane : std::uint8_t { quick, placing };
  Reactor* handle(Lane lane, Context* context, const char* method, Rights rights,
                  std::function<Answer(const Who&)> function);
  [[nodiscard]] Result<Who> who(const grpc::ServerContextBase& context, Rights rights,
                                grpc::Status& refused) const;
  // The caller's own, or anyone's to an operator; looked for in the store, too.
  [[nodiscard]] Result<KnownSession> session_of(const Who& who, const std::string& id) const;
  [[nodiscard]] Answer open(const Who& who, const v1::OpenSessionRequest& asked,
                            const ops::Trace& trace, v1::Session& response);
  [[nodiscard]] Answer move(const Who& who, const v1::MoveSessionRequest& request,
                            v1::Session& response);
  [[nodiscard]] Answer start_rollout(const Who& who, const v1::StartRolloutRequest& request,
                                     v1::Rollout& response);
  // Asks a host what is in both versions. Errors: signature_mismatch, and what the host says.
  [[nodiscard]] Result<void> compare_versions(const Tenant& tenant, const v1::ModuleRef& after,
                                              const std::string& before);
  [[nodiscard]] Answer answer_with(const KnownSession& session, v1::Session& response) const;

  const OffloadManagerParts parts_;
  const OffloadManagerOptions options_;
  Admission admission_;
  FairPool placing_;
  Pool pool_;  // after it: work that is in here goes on there
};

// "sha256:" and 64 hex digits in lower case: digests are compared as texts.
[[nodiscard]] bool is_digest(const std::string& text);
// Whether a request to open a session is one; what it says otherwise is for people.
[[nodiscard]] Result<void> check(const v1::OpenSessionRequest& request);

}  // namespace aloft::cluster
