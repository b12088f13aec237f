// The sessions of a cluster, as records in its store: opened, placed, renewed, moved and ended,
// each by one transaction that keeps three sums exact: what a host has promised, what a tenant
// uses, and the sessions themselves.
//
//   open      reserves at a host: a session without an address yet  (the host prepares)
//   prepared  its address, and the process that its tickets are for
//   replace   another host: a move, a host that is gone, one that did not answer; or another
//             version of a module, at the same host where there is room
//   renew     lives longer
//   close     all is given back
//
// After a move the former host keeps its reservation until the device had time to go: make before
// break. A session that has no host (WAITING) keeps its tenant's quota, so that it can go on.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aloft/v1/offload_manager.pb.h"
#include "cluster/ledger.h"
#include "cluster/resource_manager.h"
#include "cluster/rollout_versions.h"
#include "cluster/table.h"
#include "cluster/tenants.h"
#include "identity/ticket.h"
#include "ops/log.h"
#include "ops/trace.h"
#include <aloft/result.h>

namespace aloft::cluster {

using identity::ClusterTime;
using SessionRecord = records::SessionRecord;

struct SessionTimes {
  std::chrono::milliseconds lives{60'000};      // without a renewal
  std::chrono::milliseconds preparing{30'000};  // an open that nobody goes on with
  std::chrono::milliseconds leaving{10'000};    // the former host of a moved session
};

// A session as it is; `record` is never null.
struct KnownSession {
  std::string id;
  std::shared_ptr<const SessionRecord> record;

  // It has an address.
  [[nodiscard]] bool placed() const { return !record->address().empty(); }
  [[nodiscard]] bool waiting() const { return record->host().empty(); }
};

// Whether what it was opened with, or is for, has been revoked.
[[nodiscard]] bool is_revoked(const SessionRecord& session, const Revocations& revoked);
// Under which it is found in the logs of all.
[[nodiscard]] ops::Trace trace_of(const KnownSession& session);
[[nodiscard]] ops::LogFields log_fields(const KnownSession& session);

// Thread rule: any thread. Errors of all beside their own: those of Ledger::run.
class SessionTable {
 public:
  using Now = std::function<ClusterTime()>;

  SessionTable(Tables& tables, Ledger& ledger, ResourceManager resources, SessionTimes times,
               Now now);

  // The same key of the same tenant and device: the same session. Without a key: a new one.
  [[nodiscard]] static std::string id_of(std::string_view tenant,
                                         const v1::OpenSessionRequest& request);

  // `traceparent`: what the device's request had, kept with the session. Errors: resource_exhausted
  // (a quota of the tenant's; the message says which), overloaded (no host has room).
  [[nodiscard]] Result<KnownSession> open(const std::string& id, const Tenant& tenant,
                                          const Shown& by, const v1::OpenSessionRequest& request,
                                          const std::vector<std::string>& silent_hosts,
                                          const std::string& traceparent = {});
  // Errors: not_found (it ended meanwhile), refused (it was placed elsewhere meanwhile).
  [[nodiscard]] Result<KnownSession> prepared(const std::string& id, std::uint64_t generation,
                                              const std::string& address,
                                              const std::string& handler_boot);

  enum class Why : std::uint8_t {
    move,       // the former host lives: it is left when there is another, and gently
    host_gone,  // it is not there any more, or did not prepare: without another one the session
                // waits
    version     // as a move, also to the host where it is, with the modules that rollouts say
  };
  struct Replacement {
    std::uint64_t generation = 0;  // that is to be replaced; another one is there already: fine
    Why why = Why::move;
    std::vector<std::string> avoid{};
    std::string only{};
  };
  // Errors: not_found, overloaded (a move or version: no host has room, and it stays as it is).
  [[nodiscard]] Result<KnownSession> replace(const std::string& id, const Replacement& replacement);
  // Errors: not_found.
  [[nodiscard]] Result<KnownSession> renew(const std::string& id);
  // Gives what it was, for its hosts to be told; none: there is no such session. `if_expired`:
  // only when its time is over.
  enum class End : std::uint8_t { now, if_expired };
  [[nodiscard]] Result<std::optional<KnownSession>> close(const std::string& id, End end);
  // The former host of a moved session gets back what it had reserved.
  [[nodiscard]] Result<void> leave(const std::string& id, std::uint64_t leaving_generation);

  // The modules that it is to run, by the rollouts as this manager knows them.
  [[nodiscard]] Modules wanted_modules(const std::string& id, const SessionRecord& session) const;
  // As this manager knows it, which may be behind. None: there is no such session.
  [[nodiscard]] std::optional<KnownSession> find(const std::string& id) const;

 private:
  [[nodiscard]] PlacementAnswer choose(Draft& draft, const SessionRecord& session,
                                       const std::vector<std::string>& avoid,
                                       const std::string& only) const;
  // The chosen one, with the reservation made; as refusal() says where there is none.
  [[nodiscard]] Result<void> reserve(Draft& draft, const std::string& id, SessionRecord& session,
                                     const std::vector<std::string>& avoid,
                                     const std::string& only);
  void give_back(Draft& draft, const std::string& host, const v1::Resources& resources);
  void free_former(Draft& draft, SessionRecord& session);
  [[nodiscard]] Result<void> make_before_break(Draft& draft, const std::string& id,
                                               SessionRecord& session,
                                               const Replacement& replacement);
  [[nodiscard]] std::uint64_t in(std::chrono::milliseconds time) const;
  [[nodiscard]] Result<KnownSession> change(
      const std::string& id, const std::function<Result<void>(Draft&, SessionRecord&)>& how);

  Tables& tables_;
  Ledger& ledger_;
  const ResourceManager resources_;
  const SessionTimes times_;
  const Now now_;
};

}  // namespace aloft::cluster
