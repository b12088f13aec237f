// Goes with a session until a host has prepared for it: the host that was reserved, and where that
// one does not answer, the next. And what a session's owner is told: the view, with a ticket.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "aloft/v1/host.pb.h"
#include "aloft/v1/session.pb.h"
#include "cluster/host_clients.h"
#include "cluster/session_table.h"
#include "cluster/tenants.h"
#include "identity/signing_key.h"
#include <aloft/result.h>

namespace aloft::cluster {

struct PlacerOptions {
  int hosts_tried = 3;  // of one placement
  std::chrono::milliseconds ticket_lives{120'000};
  std::chrono::milliseconds session_lives{60'000};
  // What a handler's certificate ends in, as it is now.
  std::function<std::string()> authority_pem = [] { return std::string(); };
};

// Thread rule: any thread.
class Placer {
 public:
  Placer(Tables& tables, SessionTable& sessions, HostClients& hosts, identity::SigningKey key,
         SessionTable::Now now, PlacerOptions options);

  // Until it has an address; where no host prepares, it waits (KnownSession::waiting). Errors: what
  // a host says that no other host could do better (no such module, a bad signature); the store's.
  // What is reserved stays reserved then.
  [[nodiscard]] Result<KnownSession> settle(KnownSession session, const Tenant& tenant);
  // To another host than its own, or to the one that is named, and until it is settled there. Hosts
  // that do not answer for its tenant are avoided, too. Errors: those of SessionTable::replace and
  // of settle.
  struct Move {
    SessionTable::Why why = SessionTable::Why::move;
    std::vector<std::string> avoid = {};
    std::string only = {};  // empty: any
  };
  [[nodiscard]] Result<KnownSession> move(const KnownSession& session, const Tenant& tenant,
                                          Move move);
  // What is in a module, by a host, which has it fetched, verified and compiled then. Errors: as
  // settle's, and unreachable (there is no such host).
  [[nodiscard]] Result<v1::InspectModuleResponse> inspect(const std::string& host,
                                                          const Tenant& tenant,
                                                          const v1::ModuleRef& module);
  // All hosts that it is at are told that it is there no more.
  void release(const KnownSession& session);
  void release(const KnownSession& session, const std::string& host, std::uint64_t generation);

  // With a ticket where it is placed. Errors: of identity::seal.
  [[nodiscard]] Result<v1::Session> owners_view(const KnownSession& session) const;
  [[nodiscard]] v1::Session view(const KnownSession& session) const;
  [[nodiscard]] std::vector<std::string> silent_hosts(const std::string& tenant) {
    return hosts_.silent(tenant);
  }

 private:
  Tables& tables_;
  SessionTable& sessions_;
  HostClients& hosts_;
  const identity::SigningKey key_;
  const SessionTable::Now now_;
  const PlacerOptions options_;
};

}  // namespace aloft::cluster
