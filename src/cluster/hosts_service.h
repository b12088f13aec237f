// The hosts of a cluster, as its managers hear of them: the gRPC service aloft.v1.Hosts.
//
// A host is there while its lease lives, which any manager keeps alive for it with each heartbeat;
// so a host may speak to another manager each time. Its record is written again only when what it
// says changes what a placement would come to: heartbeats of many hosts cost the store next to
// nothing.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <grpcpp/server_context.h>

#include "aloft/v1/host.grpc.pb.h"
#include "cluster/authenticator.h"
#include "cluster/caretaker.h"
#include "cluster/ledger.h"
#include "cluster/pool.h"
#include "cluster/rollouts.h"
#include "cluster/session_table.h"
#include "cluster/store.h"
#include "cluster/table.h"
#include "cluster/tenants.h"
#include "identity/signing_key.h"
#include "ops/metrics.h"

namespace aloft::cluster {

struct HostsServiceOptions {
  std::chrono::seconds lease{3};
  std::size_t threads = 8, waiting = 2048;
};

struct HostsServiceParts {
  Store& store;
  Tables& tables;
  Ledger& ledger;
  Authenticator& authenticator;
  ops::Metrics& metrics;
  Rollouts& rollouts;
  SessionTable& sessions;
  SessionTable::Now now;
  std::function<std::shared_ptr<const TenantTable>()> tenants;
  // A host says that cluster time is so late at least; a manager that is new may have less.
  std::function<void(ClusterTime)> at_least;
  std::vector<identity::VerifyingKey> ticket_keys;  // the signing one first
};

// Thread rule: gRPC's.
class HostsService final : public v1::Hosts::CallbackService {
 public:
  HostsService(HostsServiceParts parts, HostsServiceOptions options);

  grpc::ServerUnaryReactor* Register(grpc::CallbackServerContext* context,
                                     const v1::RegisterHostRequest* request,
                                     v1::HeartbeatResponse* response) override;
  grpc::ServerUnaryReactor* Heartbeat(grpc::CallbackServerContext* context,
                                      const v1::HeartbeatRequest* request,
                                      v1::HeartbeatResponse* response) override;

 private:
  template <class Function>
  grpc::ServerUnaryReactor* handle(grpc::CallbackServerContext* context, const char* method,
                                   const std::string& host, Function function);
  [[nodiscard]] Result<void> enter(const v1::RegisterHostRequest& request);
  // False: it has to register.
  [[nodiscard]] Result<bool> hear(const v1::HeartbeatRequest& request);
  // What became of calls there, where a rollout is about them.
  [[nodiscard]] Result<void> keep_counts(const v1::HeartbeatRequest& request, LeaseId lease);
  // Of the placements that a host says it has, those that it is not to have any more: it may have
  // been away when they ended.
  void find_ended(const v1::HeartbeatRequest& request, v1::HeartbeatResponse& response);
  // `revoked_version`: of what the host was told of revoked certificates.
  void answer(const std::string& host, const std::string& revoked_version,
              v1::HeartbeatResponse& response);

  const HostsServiceParts parts_;
  const HostsServiceOptions options_;
  std::mutex mutex_;
  std::shared_ptr<const TenantTable> table_;  // that revoked_ is of
  v1::RevokedCertificates revoked_;
  Pool pool_;  // last: it uses all of the above
};

}  // namespace aloft::cluster
