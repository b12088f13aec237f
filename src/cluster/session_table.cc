#include "cluster/session_table.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include <google/protobuf/util/message_differencer.h>

#include "base/digest.h"
#include "base/ids.h"

namespace aloft::cluster {
namespace {

constexpr std::size_t kIdDigits = 32;
constexpr std::uint32_t kFollowsRollouts = 2;  // api_version from which on devices do

std::string reason_key(const std::string& id) { return "reasons/" + id; }

}  // namespace

ops::Trace trace_of(const KnownSession& session) {
  return ops::Trace::parse(session.record->traceparent()).value_or(ops::Trace());
}

ops::LogFields log_fields(const KnownSession& session) {
  return {{"tenant", session.record->tenant()},
          {"session", session.id},
          {"trace_id", trace_of(session).id()}};
}

bool is_revoked(const SessionRecord& session, const Revocations& revoked) {
  if (revoked.empty()) return false;
  const auto digest_of = [](const std::string& bytes) -> std::optional<Digest> {
    Digest digest;
    if (bytes.size() != digest.bytes.size()) return std::nullopt;
    std::memcpy(digest.bytes.data(), bytes.data(), bytes.size());
    return digest;
  };
  return revoked.covers({.key = digest_of(session.opened_by_key()),
                         .serial = session.opened_by_serial(),
                         .token = session.opened_by_token(),
                         .tenant = session.tenant()}) ||
         revoked.covers({.key = digest_of(session.client_key_sha256()),
                         .serial = {},
                         .token = {},
                         .tenant = {}});
}

SessionTable::SessionTable(Tables& tables, Ledger& ledger, ResourceManager resources,
                           SessionTimes times, Now now)
    : tables_(tables),
      ledger_(ledger),
      resources_(resources),
      times_(times),
      now_(std::move(now)) {}

std::string SessionTable::id_of(std::string_view tenant, const v1::OpenSessionRequest& request) {
  if (request.idempotency_key().empty()) return random_hex();
  Sha256 hash;
  const auto take = [&](std::string_view text) {
    const std::string size = std::to_string(text.size()) + ":";
    hash.update(std::as_bytes(std::span(size)));
    hash.update(std::as_bytes(std::span(text)));
  };
  take(tenant);
  take(request.client_key_sha256());
  take(request.idempotency_key());
  return hash.finish().hex().substr(0, kIdDigits);
}

std::uint64_t SessionTable::in(std::chrono::milliseconds time) const {
  return static_cast<std::uint64_t>((now_() + time).count());
}

Modules SessionTable::wanted_modules(const std::string& id, const SessionRecord& session) const {
  if (session.asked_modules().empty()) return session.modules();
  return cluster::wanted_modules(tables_.rollouts, session.tenant(), id, session.asked_modules());
}

std::optional<KnownSession> SessionTable::find(const std::string& id) const {
  auto record = tables_.sessions.find(id);
  if (!record) return std::nullopt;
  return KnownSession{id, std::move(record)};
}

PlacementAnswer SessionTable::choose(Draft& draft, const SessionRecord& session,
                                     const std::vector<std::string>& avoid,
                                     const std::string& only) const {
  struct Look {
    std::string id;
    std::shared_ptr<const records::HostRecord> host;
    std::shared_ptr<const records::ReservationRecord> reservation;
    std::vector<const std::string*> compiled;
    bool draining = false;
  };
  std::vector<Look> looks;
  tables_.hosts.for_each(
      [&](const std::string& id, std::shared_ptr<const records::HostRecord> host) {
        Look& look = looks.emplace_back();
        look.id = id;
        look.host = std::move(host);
      });
  std::vector<HostState> hosts;
  hosts.reserve(looks.size());
  for (Look& look : looks) {
    look.reservation = draft.peek(tables_.reservations, look.id);
    look.draining = look.host->draining() || draft.peek(tables_.drains, look.id) != nullptr;
    const auto& compiled = look.host->compiled_modules();
    look.compiled.reserve(static_cast<std::size_t>(compiled.size()));
    for (const std::string& digest : compiled) look.compiled.push_back(&digest);
    hosts.push_back({.id = look.id,
                     .capacity = &look.host->host().capacity(),
                     .reserved = look.reservation ? &look.reservation->reserved() : nullptr,
                     .capabilities = &look.host->host().capabilities(),
                     .compiled = look.compiled,
                     .load = look.host->load_permille() / 1000.0,
                     .draining = look.draining});
  }
  std::vector<const v1::ModuleRef*> modules;
  for (const auto& module : session.modules()) modules.push_back(&module);
  return resources_.place({.wanted = &session.resources(),
                           .needs = &session.needs(),
                           .modules = modules,
                           .round_trip_us = &session.round_trip_us(),
                           .avoid = avoid,
                           .only = only},
                          hosts);
}

Result<void> SessionTable::reserve(Draft& draft, const std::string& id, SessionRecord& session,
                                   const std::vector<std::string>& avoid, const std::string& only) {
  const PlacementAnswer answer = choose(draft, session, avoid, only);
  // Also where there is no choice: a session that waits can say what for.
  draft.put(reason_key(id), answer.reason.SerializeAsString());
  if (!answer.host) return fail(Errc::overloaded, answer.refusal());
  const auto host = draft.peek(tables_.hosts, *answer.host);
  if (!host) return fail(Errc::overloaded, "the host that was chosen has gone: ask again");
  auto reservation = draft.edit(tables_.reservations, *answer.host);
  if (!fits(session.resources(), &reservation.reserved(), host->host().capacity())) {
    return fail(Errc::overloaded, "the host that was chosen has filled up: ask again");
  }
  add(*reservation.mutable_reserved(), session.resources());
  reservation.set_sessions(reservation.sessions() + 1);
  *reservation.mutable_capacity() = host->host().capacity();
  draft.write(tables_.reservations, *answer.host, std::move(reservation));

  session.set_host(*answer.host);
  session.set_host_boot(host->host().boot_id());
  session.clear_address();
  session.clear_handler_boot();
  session.set_generation(session.generation() + 1);
  return {};
}

void SessionTable::give_back(Draft& draft, const std::string& host,
                             const v1::Resources& resources) {
  if (host.empty()) return;
  auto reservation = draft.edit(tables_.reservations, host);
  if (reservation.sessions() <= 1) {
    draft.erase(tables_.reservations, host);
    return;
  }
  subtract(*reservation.mutable_reserved(), resources);
  reservation.set_sessions(reservation.sessions() - 1);
  draft.write(tables_.reservations, host, std::move(reservation));
}

void SessionTable::free_former(Draft& draft, SessionRecord& session) {
  give_back(draft, session.leaving_host(), session.resources());
  session.clear_leaving_host();
  session.clear_leaving_generation();
  session.clear_leaving_until_ms();
}

Result<KnownSession> SessionTable::open(const std::string& id, const Tenant& tenant,
                                        const Shown& by, const v1::OpenSessionRequest& request,
                                        const std::vector<std::string>& silent_hosts,
                                        const std::string& traceparent) {
  std::shared_ptr<const SessionRecord> opened;
  auto run = ledger_.run([&](Draft& draft) -> Result<void> {
    if (auto known = draft.read(tables_.sessions, id)) {
      opened = std::move(known);
      return {};
    }
    SessionRecord session;
    session.set_tenant(tenant.name);
    *session.mutable_modules() = request.modules();
    if (request.api_version() >= kFollowsRollouts) {
      *session.mutable_asked_modules() = request.modules();
      *session.mutable_modules() = wanted_modules(id, session);
    }
    *session.mutable_resources() = request.resources();
    *session.mutable_needs() = request.needs();
    session.set_client_key_sha256(request.client_key_sha256());
    *session.mutable_round_trip_us() = request.round_trip_us();
    session.set_expires_ms(in(times_.preparing));
    if (by.key) session.set_opened_by_key(by.key->bytes.data(), by.key->bytes.size());
    session.set_opened_by_serial(by.serial);
    session.set_opened_by_token(by.token);
    session.set_traceparent(traceparent);

    auto quota = draft.edit(tables_.quotas, tenant.name);
    const auto over = [&](const char* what) {
      return fail(Errc::resource_exhausted, "tenant " + tenant.name + " has used up its quota of " +
                                                what +
                                                ": close a session, or have the quota raised");
    };
    if (quota.sessions() >= tenant.max_sessions) return over("sessions");
    v1::Resources limit;
    limit.set_memory_bytes(tenant.memory.count());
    limit.set_cpu_millicores(tenant.cpu_millicores);
    limit.set_gpus(tenant.gpus);
    v1::Resources part;
    part.set_memory_bytes(request.resources().memory_bytes());
    if (!fits(part, &quota.reserved(), limit)) return over("memory");
    part.set_cpu_millicores(request.resources().cpu_millicores());
    if (!fits(part, &quota.reserved(), limit)) return over("processor time");
    part.set_gpus(request.resources().gpus());
    if (!fits(part, &quota.reserved(), limit)) return over("GPUs");
    add(*quota.mutable_reserved(), request.resources());
    quota.set_sessions(quota.sessions() + 1);

    std::vector<std::string> avoid(request.avoid_hosts().begin(), request.avoid_hosts().end());
    avoid.insert(avoid.end(), silent_hosts.begin(), silent_hosts.end());
    if (auto reserved = reserve(draft, id, session, avoid, {}); !reserved) return reserved;
    draft.write(tables_.quotas, tenant.name, std::move(quota));
    opened = std::make_shared<const SessionRecord>(session);
    draft.write(tables_.sessions, id, std::move(session));
    return {};
  });
  if (!run) return std::unexpected(run.error());
  return KnownSession{id, std::move(opened)};
}

Result<KnownSession> SessionTable::change(
    const std::string& id, const std::function<Result<void>(Draft&, SessionRecord&)>& how) {
  std::shared_ptr<const SessionRecord> changed;
  auto run = ledger_.run([&](Draft& draft) -> Result<void> {
    const auto known = draft.read(tables_.sessions, id);
    if (!known) return fail(Errc::not_found, "no such session: " + id);
    SessionRecord session = *known;
    if (auto done = how(draft, session); !done) return done;
    changed = std::make_shared<const SessionRecord>(session);
    if (!google::protobuf::util::MessageDifferencer::Equals(*known, session)) {
      draft.write(tables_.sessions, id, std::move(session));
    }
    return {};
  });
  if (!run) return std::unexpected(run.error());
  return KnownSession{id, std::move(changed)};
}

Result<KnownSession> SessionTable::prepared(const std::string& id, std::uint64_t generation,
                                            const std::string& address,
                                            const std::string& handler_boot) {
  return change(id, [&](Draft&, SessionRecord& session) -> Result<void> {
    if (session.generation() != generation) {
      return fail(Errc::refused, "session " + id + " was placed elsewhere meanwhile");
    }
    session.set_address(address);
    session.set_handler_boot(handler_boot);
    session.set_expires_ms(in(times_.lives));
    return {};
  });
}

Result<KnownSession> SessionTable::replace(const std::string& id, const Replacement& replacement) {
  return change(id, [&](Draft& draft, SessionRecord& session) -> Result<void> {
    if (session.generation() != replacement.generation) return {};
    std::vector<std::string> avoid = replacement.avoid;
    const bool gone = replacement.why == Why::host_gone;
    // Where it is nowhere, nothing keeps it from the version that it is to have.
    if (gone || session.host().empty()) *session.mutable_modules() = wanted_modules(id, session);
    if (!gone && session.host().empty()) {
      // It waits; anywhere will do.
      return reserve(draft, id, session, avoid, replacement.only);
    }
    if (gone) {
      give_back(draft, session.host(), session.resources());
      session.clear_host();
      session.clear_host_boot();
      session.clear_address();
      session.clear_handler_boot();
      // Without room elsewhere it waits; the generation says that its former place is no more.
      auto reserved = reserve(draft, id, session, avoid, replacement.only);
      if (!reserved) session.set_generation(session.generation() + 1);
      return {};
    }
    return make_before_break(draft, id, session, replacement);
  });
}

// A move, or another version: the former place keeps its reservation for a while.
Result<void> SessionTable::make_before_break(Draft& draft, const std::string& id,
                                             SessionRecord& session,
                                             const Replacement& replacement) {
  const bool version = replacement.why == Why::version;
  if (version) {
    Modules wanted = wanted_modules(id, session);
    if (same_modules(wanted, session.modules())) return {};
    session.mutable_modules()->Swap(&wanted);
  } else if (session.host() == replacement.only) {
    return {};
  }
  const std::string former = session.host();
  const std::uint64_t generation = session.generation();
  const bool was_placed = !session.address().empty();
  free_former(draft, session);
  std::vector<std::string> avoid = replacement.avoid;
  Result<void> reserved = fail(Errc::overloaded, "");
  if (version) reserved = reserve(draft, id, session, avoid, former);
  if (!reserved) {
    avoid.push_back(former);
    reserved = reserve(draft, id, session, avoid, replacement.only);
  }
  if (!reserved) return reserved;
  if (was_placed) {
    session.set_leaving_host(former);
    session.set_leaving_generation(generation);
    session.set_leaving_until_ms(in(times_.leaving));
  } else {
    give_back(draft, former, session.resources());
  }
  return {};
}

Result<KnownSession> SessionTable::renew(const std::string& id) {
  return change(id, [&](Draft&, SessionRecord& session) -> Result<void> {
    if (session.address().empty() && !session.host().empty()) return {};
    // Not with each renewal: it writes only when a fair part of its time is over.
    const auto left = ClusterTime(static_cast<std::int64_t>(session.expires_ms())) - now_();
    if (left < times_.lives * 3 / 4) session.set_expires_ms(in(times_.lives));
    return {};
  });
}

Result<std::optional<KnownSession>> SessionTable::close(const std::string& id, End end) {
  std::shared_ptr<const SessionRecord> closed;
  auto run = ledger_.run([&](Draft& draft) -> Result<void> {
    closed = nullptr;
    const auto known = draft.read(tables_.sessions, id);
    if (!known) return {};
    if (end == End::if_expired && known->expires_ms() > in(ClusterTime{0})) return {};
    SessionRecord session = *known;
    free_former(draft, session);
    give_back(draft, session.host(), session.resources());
    auto quota = draft.edit(tables_.quotas, session.tenant());
    if (quota.sessions() <= 1) {
      draft.erase(tables_.quotas, session.tenant());
    } else {
      subtract(*quota.mutable_reserved(), session.resources());
      quota.set_sessions(quota.sessions() - 1);
      draft.write(tables_.quotas, session.tenant(), std::move(quota));
    }
    draft.erase(tables_.sessions, id);
    draft.put(reason_key(id), std::nullopt);
    closed = known;
    return {};
  });
  if (!run) return std::unexpected(run.error());
  if (!closed) return std::optional<KnownSession>{};
  return std::optional<KnownSession>{KnownSession{id, std::move(closed)}};
}

Result<void> SessionTable::leave(const std::string& id, std::uint64_t leaving_generation) {
  auto left = change(id, [&](Draft& draft, SessionRecord& session) -> Result<void> {
    if (session.leaving_generation() == leaving_generation) free_former(draft, session);
    return {};
  });
  if (!left && left.error().code != Errc::not_found) return std::unexpected(left.error());
  return {};
}

}  // namespace aloft::cluster
