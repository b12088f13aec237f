#include "cluster/placer.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include <spdlog/spdlog.h>

#include "identity/ticket.h"

namespace aloft::cluster {

namespace {

// What a tenant's modules may be, and may import.
template <class Request>
void set_rights(Request& request, const Tenant& tenant) {
  for (const auto& name : tenant.host_functions) request.add_host_functions(name);
  for (const auto& signer : tenant.module_signers) {
    request.add_module_signers(signer.der().data(), signer.der().size());
  }
  request.set_allow_unsigned_modules(tenant.allow_unsigned);
}

}  // namespace

Placer::Placer(Tables& tables, SessionTable& sessions, HostClients& hosts, identity::SigningKey key,
               SessionTable::Now now, PlacerOptions options)
    : tables_(tables),
      sessions_(sessions),
      hosts_(hosts),
      key_(std::move(key)),
      now_(std::move(now)),
      options_(std::move(options)) {}

Result<KnownSession> Placer::settle(KnownSession session, const Tenant& tenant) {
  std::vector<std::string> tried = hosts_.silent(session.record->tenant());
  for (int attempt = 0; attempt < options_.hosts_tried; ++attempt) {
    if (session.placed() || session.waiting()) return session;
    const SessionRecord& record = *session.record;
    const auto host = tables_.hosts.find(record.host());
    Result<v1::PrepareResponse> prepared =
        fail(Errc::unreachable, "host " + record.host() + " is gone");
    if (host) {
      v1::PrepareRequest request;
      request.set_tenant(record.tenant());
      request.set_session_id(session.id);
      request.set_generation(record.generation());
      *request.mutable_modules() = record.modules();
      *request.mutable_resources() = record.resources();
      set_rights(request, tenant);
      prepared =
          hosts_.prepare(record.host(), host->host().control_address(), request, trace_of(session));
    }
    if (prepared) {
      auto placed = sessions_.prepared(session.id, record.generation(), prepared->address(),
                                       prepared->boot_id());
      if (placed) return placed;
      release(session, record.host(), record.generation());
      if (placed.error().code != Errc::refused) return placed;
      // Placed elsewhere meanwhile, by another manager: that counts.
      auto known = sessions_.find(session.id);
      if (!known) return fail(Errc::not_found, "no such session: " + session.id);
      session = *std::move(known);
      continue;
    }
    ops::log(spdlog::level::warn, "not prepared: " + prepared.error().message, log_fields(session));
    if (!another_may_do(prepared.error().code)) return std::unexpected(prepared.error());
    // It may have prepared, and its answer was lost.
    if (host) release(session, record.host(), record.generation());
    tried.push_back(record.host());
    auto next = sessions_.replace(
        session.id,
        {.generation = record.generation(), .why = SessionTable::Why::host_gone, .avoid = tried});
    if (!next) return next;
    session = *std::move(next);
  }
  if (session.placed() || session.waiting()) return session;
  // The last one that was reserved is not asked any more.
  return sessions_.replace(session.id, {.generation = session.record->generation(),
                                        .why = SessionTable::Why::host_gone,
                                        .only = "-"});
}

Result<v1::InspectModuleResponse> Placer::inspect(const std::string& host, const Tenant& tenant,
                                                  const v1::ModuleRef& module) {
  const auto known = tables_.hosts.find(host);
  if (!known) return fail(Errc::unreachable, "host " + host + " is gone");
  v1::InspectModuleRequest request;
  request.set_tenant(tenant.name);
  *request.mutable_module() = module;
  set_rights(request, tenant);
  return hosts_.inspect(host, known->host().control_address(), request);
}

Result<KnownSession> Placer::move(const KnownSession& session, const Tenant& tenant, Move move) {
  const auto silent = hosts_.silent(tenant.name);
  move.avoid.insert(move.avoid.end(), silent.begin(), silent.end());
  auto replaced = sessions_.replace(session.id, {.generation = session.record->generation(),
                                                 .why = move.why,
                                                 .avoid = std::move(move.avoid),
                                                 .only = std::move(move.only)});
  if (!replaced) return replaced;
  return settle(*std::move(replaced), tenant);
}

void Placer::release(const KnownSession& session) {
  const SessionRecord& record = *session.record;
  if (!record.host().empty()) release(session, record.host(), record.generation());
  if (!record.leaving_host().empty()) {
    release(session, record.leaving_host(), record.leaving_generation());
  }
}

void Placer::release(const KnownSession& session, const std::string& host,
                     std::uint64_t generation) {
  const auto known = tables_.hosts.find(host);
  if (!known) return;
  v1::ReleaseRequest request;
  request.set_tenant(session.record->tenant());
  request.set_session_id(session.id);
  request.set_generation(generation);
  hosts_.release(host, known->host().control_address(), std::move(request));
}

v1::Session Placer::view(const KnownSession& session) const {
  const SessionRecord& record = *session.record;
  v1::Session view;
  view.set_id(session.id);
  view.set_tenant(record.tenant());
  *view.mutable_modules() = record.modules();
  *view.mutable_resources() = record.resources();
  view.set_state(session.placed() ? v1::Session::PLACED : v1::Session::WAITING);
  const auto left = static_cast<std::int64_t>(record.expires_ms()) - now_().count();
  view.set_renew_within_ms(static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(left, 0, options_.session_lives.count())));
  view.mutable_placement()->set_generation(record.generation());
  if (session.placed()) {
    view.mutable_placement()->set_host_id(record.host());
    view.mutable_placement()->set_address(record.address());
  }
  return view;
}

Result<v1::Session> Placer::owners_view(const KnownSession& session) const {
  v1::Session view = this->view(session);
  if (!session.placed()) return view;
  const SessionRecord& record = *session.record;
  identity::Ticket ticket;
  ticket.tenant = record.tenant();
  ticket.session = session.id;
  ticket.generation = record.generation();
  for (const auto& module : record.modules()) {
    auto digest = Digest::parse(module.digest());
    if (!digest) return std::unexpected(digest.error());
    ticket.modules.push_back(*digest);
  }
  if (record.client_key_sha256().size() != ticket.client_key.bytes.size()) {
    return fail(Errc::corrupt, "session " + session.id + " has no client key");
  }
  std::memcpy(ticket.client_key.bytes.data(), record.client_key_sha256().data(),
              ticket.client_key.bytes.size());
  ticket.host = record.host();
  ticket.handler_boot = record.handler_boot();
  ticket.issued = now_();
  ticket.expires = ticket.issued + options_.ticket_lives;
  ticket.limits = {.memory_bytes = record.resources().memory_bytes(),
                   .cpu_millicores = record.resources().cpu_millicores(),
                   .gpus = record.resources().gpus()};
  auto sealed = identity::seal(ticket, key_);
  if (!sealed) return std::unexpected(sealed.error());
  view.mutable_placement()->set_ticket(sealed->data(), sealed->size());
  view.mutable_placement()->set_data_plane_authority(options_.authority_pem());
  return view;
}

}  // namespace aloft::cluster
