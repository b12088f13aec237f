#include "cluster/hosts_service.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <google/protobuf/util/message_differencer.h>
#include <spdlog/spdlog.h>

#include "base/digest.h"
#include "identity/name.h"
#include "rpc/status.h"

namespace aloft::cluster {
namespace {

constexpr int kMaxCompiled = 1024;
constexpr int kMaxCapabilities = 1024;
constexpr int kMaxCounted = 64;     // modules in rollouts, of a host
constexpr int kMaxLatencies = 128;  // numbers of one of these
constexpr std::size_t kMaxText = 256;
constexpr int kMaxPlacements = 64;  // asked about in a heartbeat
constexpr int kLoadStep = 50;       // permille, from which on a change of load is worth a write

std::unexpected<Error> wrong(std::string message) {
  return fail(Errc::invalid_argument, std::move(message));
}

Result<void> check(const v1::RegisterHostRequest& request) {
  if (request.boot_id().empty() || request.boot_id().size() > kMaxText) {
    return wrong("boot_id: 1 to 256 bytes");
  }
  if (request.control_address().empty() || request.control_address().size() > kMaxText) {
    return wrong("control_address: HOST:PORT");
  }
  if (request.capacity().memory_bytes() == 0 || request.capacity().cpu_millicores() == 0) {
    return wrong("capacity: a host has memory and processors");
  }
  const auto& capabilities = request.capabilities();
  if (capabilities.models_size() > kMaxCapabilities ||
      capabilities.accelerators_size() > kMaxCapabilities) {
    return wrong("capabilities: more than 1024");
  }
  for (const std::string_view text :
       {std::string_view(request.software_version()), std::string_view(request.wasm_engine()),
        std::string_view(request.cpu_features())}) {
    if (text.size() > 4 * kMaxText) return wrong("a text is longer than 1024 bytes");
  }
  return {};
}

std::vector<std::string> sorted_digests(const v1::HeartbeatRequest& request) {
  std::vector<std::string> digests;
  for (const std::string& digest : request.compiled_modules()) {
    if (digests.size() < static_cast<std::size_t>(kMaxCompiled) && Digest::parse(digest)) {
      digests.push_back(digest);
    }
  }
  std::ranges::sort(digests);
  const auto [first, last] = std::ranges::unique(digests);
  digests.erase(first, last);
  return digests;
}

v1::RevokedCertificates list_of(const Revocations& revoked) {
  v1::RevokedCertificates list;
  for (const Digest& key : revoked.keys) list.add_keys(key.bytes.data(), key.bytes.size());
  for (const std::string& serial : revoked.serials) list.add_serials(serial);
  // The sets are in order, so that all managers of one file have one version.
  const std::string bytes = list.SerializeAsString();
  if (!bytes.empty()) list.set_version(sha256(std::as_bytes(std::span(bytes))).hex());
  return list;
}

}  // namespace

HostsService::HostsService(HostsServiceParts parts, HostsServiceOptions options)
    : parts_(std::move(parts)), options_(options), pool_(options.threads, options.waiting) {}

template <class Function>
grpc::ServerUnaryReactor* HostsService::handle(grpc::CallbackServerContext* context,
                                               const char* method, const std::string& host,
                                               Function function) {
  auto* const reactor = context->DefaultReactor();
  const auto begun = std::chrono::steady_clock::now();
  const auto finish = [this, reactor, method, begun](const grpc::Status& status) {
    parts_.metrics.answered(method, status.error_code(), std::chrono::steady_clock::now() - begun);
    reactor->Finish(status);
  };
  const bool posted =
      pool_.post([this, context, finish, host, function = std::move(function)]() -> void {
        const auto caller = parts_.authenticator.who(*context);
        if (!caller) {
          return finish({grpc::StatusCode::UNAUTHENTICATED, caller.error().message});
        }
        if (caller->role != identity::Role::host || caller->name != host) {
          return finish({grpc::StatusCode::PERMISSION_DENIED,
                         "host " + host + " has to show its own certificate"});
        }
        finish(function());
      });
  if (!posted)
    finish(rpc::to_status({Errc::overloaded, "this manager has too many requests waiting"}));
  return reactor;
}

Result<void> HostsService::enter(const v1::RegisterHostRequest& request) {
  if (auto checked = check(request); !checked) return checked;
  const std::string& id = request.host_id();
  auto lease = parts_.store.grant_lease(options_.lease);
  if (!lease) return std::unexpected(lease.error());
  LeaseId former = 0;
  auto run = parts_.ledger.run([&](Draft& draft) -> Result<void> {
    const auto known = draft.read(parts_.tables.hosts, id);
    former = known ? known->lease() : 0;
    records::HostRecord record;
    *record.mutable_host() = request;
    record.set_lease(*lease);
    if (known && known->host().boot_id() == request.boot_id()) {
      record.set_load_permille(known->load_permille());
      record.set_free_memory_bytes(known->free_memory_bytes());
      *record.mutable_compiled_modules() = known->compiled_modules();
    }
    draft.write(parts_.tables.hosts, id, std::move(record), *lease);
    return {};
  });
  if (!run) {
    (void)parts_.store.revoke_lease(*lease);
    return run;
  }
  // Its key is under the new one now.
  if (former != 0 && former != *lease) (void)parts_.store.revoke_lease(former);
  spdlog::info("host {} is there, at {}", id, request.control_address());
  return {};
}

Result<bool> HostsService::hear(const v1::HeartbeatRequest& request) {
  const std::string& id = request.host_id();
  auto known = parts_.tables.hosts.find(id);
  if (!known || known->host().boot_id() != request.boot_id()) {
    // It may have registered at another manager a moment ago.
    if (auto read = parts_.tables.hosts.refresh(parts_.store, id); !read) {
      return std::unexpected(read.error());
    }
    known = parts_.tables.hosts.find(id);
  }
  if (!known || known->host().boot_id() != request.boot_id()) return false;
  if (auto alive = parts_.store.keep_alive(known->lease()); !alive) {
    if (alive.error().code == Errc::not_found) return false;
    return std::unexpected(alive.error());
  }

  const double load = std::isfinite(request.load()) ? std::clamp(request.load(), 0.0, 1.0) : 1.0;
  const auto permille = static_cast<std::uint32_t>(std::lround(load * 1000));
  const auto compiled = sorted_digests(request);
  const auto apart = [](std::uint64_t a, std::uint64_t b) { return a > b ? a - b : b - a; };
  if (auto kept = keep_counts(request, known->lease()); !kept) {
    if (kept.error().code == Errc::not_found) return false;  // its lease has just ended
    return std::unexpected(kept.error());
  }
  const bool worth_a_write =
      apart(permille, known->load_permille()) >= static_cast<std::uint64_t>(kLoadStep) ||
      apart(request.free_memory_bytes(), known->free_memory_bytes()) >
          known->host().capacity().memory_bytes() / 8 ||
      request.draining() != known->draining() ||
      !std::ranges::equal(compiled, known->compiled_modules());
  if (!worth_a_write) return true;
  bool is_there = true;
  auto run = parts_.ledger.run([&](Draft& draft) -> Result<void> {
    const auto record = draft.read(parts_.tables.hosts, id);
    is_there = record && record->host().boot_id() == request.boot_id();
    if (!is_there) return {};
    records::HostRecord changed = *record;
    changed.set_load_permille(permille);
    changed.set_free_memory_bytes(request.free_memory_bytes());
    changed.set_draining(request.draining());
    changed.clear_compiled_modules();
    for (const std::string& digest : compiled) changed.add_compiled_modules(digest);
    draft.write(parts_.tables.hosts, id, std::move(changed), record->lease());
    return {};
  });
  if (!run && run.error().code == Errc::not_found) return false;  // its lease has just ended
  if (!run) return std::unexpected(run.error());
  return is_there;
}

Result<void> HostsService::keep_counts(const v1::HeartbeatRequest& request, LeaseId lease) {
  const auto known = parts_.tables.counts.find(request.host_id());
  records::CountsRecord record;
  record.set_boot_id(request.boot_id());
  for (const v1::ModuleCounts& counts : request.module_counts()) {
    if (record.modules_size() >= kMaxCounted || counts.latency_size() > kMaxLatencies) break;
    if (parts_.rollouts.counts(counts)) *record.add_modules() = counts;
  }
  if (!known && record.modules().empty()) return {};
  if (known && google::protobuf::util::MessageDifferencer::Equals(*known, record)) return {};
  return parts_.ledger.run([&](Draft& draft) -> Result<void> {
    if (record.modules().empty()) {
      draft.erase(parts_.tables.counts, request.host_id());
    } else {
      draft.write(parts_.tables.counts, request.host_id(), record, lease);
    }
    return {};
  });
}

void HostsService::find_ended(const v1::HeartbeatRequest& request,
                              v1::HeartbeatResponse& response) {
  const auto is_to_be_there = [&](const v1::PlacementName& placement) {
    const auto session = parts_.sessions.find(placement.session_id());
    if (!session) return false;
    const SessionRecord& record = *session->record;
    return (record.host() == request.host_id() && record.generation() >= placement.generation()) ||
           (record.leaving_host() == request.host_id() &&
            record.leaving_generation() >= placement.generation());
  };
  for (const v1::PlacementName& placement : request.placements()) {
    if (response.ended_size() >= kMaxPlacements) return;
    if (is_to_be_there(placement)) continue;
    // It may have been placed by another manager a moment ago: what the store says counts.
    if (!parts_.tables.sessions.refresh(parts_.store, placement.session_id())) return;
    if (!is_to_be_there(placement)) *response.add_ended() = placement;
  }
}

void HostsService::answer(const std::string& host, const std::string& revoked_version,
                          v1::HeartbeatResponse& response) {
  {
    auto table = parts_.tenants();
    const std::scoped_lock lock(mutex_);
    if (table_ != table) {
      table_ = std::move(table);
      revoked_ = list_of(table_->revoked);
    }
    if (revoked_.version() != revoked_version) *response.mutable_revoked() = revoked_;
  }
  response.set_lease_ms(
      static_cast<std::uint32_t>(std::chrono::milliseconds(options_.lease).count()));
  response.set_cluster_time_ms(static_cast<std::uint64_t>(parts_.now().count()));
  response.set_drain(parts_.tables.drains.find(host) != nullptr);
  for (std::string& digest : parts_.rollouts.counted()) {
    response.add_counted_modules(std::move(digest));
  }
  for (const identity::VerifyingKey& key : parts_.ticket_keys) {
    auto* const one = response.add_ticket_keys();
    one->set_id(key.id());
    one->set_ed25519_public_key(key.raw().data(), key.raw().size());
  }
}

grpc::ServerUnaryReactor* HostsService::Register(grpc::CallbackServerContext* context,
                                                 const v1::RegisterHostRequest* request,
                                                 v1::HeartbeatResponse* response) {
  return handle(context, "Register", request->host_id(), [=, this]() -> grpc::Status {
    if (auto entered = enter(*request); !entered) return rpc::to_status(entered.error());
    answer(request->host_id(), "", *response);
    return grpc::Status::OK;
  });
}

grpc::ServerUnaryReactor* HostsService::Heartbeat(grpc::CallbackServerContext* context,
                                                  const v1::HeartbeatRequest* request,
                                                  v1::HeartbeatResponse* response) {
  return handle(context, "Heartbeat", request->host_id(), [=, this]() -> grpc::Status {
    if (request->cluster_time_ms() > 0) {
      parts_.at_least(ClusterTime(static_cast<std::int64_t>(request->cluster_time_ms())));
    }
    auto known = hear(*request);
    if (!known) return rpc::to_status(known.error());
    response->set_unknown(!*known);
    if (*known) find_ended(*request, *response);
    answer(request->host_id(), request->revoked_version(), *response);
    return grpc::Status::OK;
  });
}

}  // namespace aloft::cluster
