// The part of the Offload Manager that is for operators: what there is, and draining.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <spdlog/spdlog.h>

#include "cluster/offload_manager.h"
#include "identity/name.h"

namespace aloft::cluster {
namespace {

constexpr std::uint32_t kPageSize = 1000;
// Of a page: what clients of gRPC take is 4 MiB.
constexpr std::size_t kPageBytes = std::size_t{1} << 20U;

}  // namespace

grpc::ServerUnaryReactor* OffloadManagerService::ListSessions(
    Context* context, const v1::ListSessionsRequest* request, v1::ListSessionsResponse* response) {
  return handle(Lane::quick, context, "ListSessions", Rights::operator_, [=, this](const Who&) {
    const std::uint32_t size =
        request->page_size() == 0 ? kPageSize : std::min(request->page_size(), kPageSize);
    std::string last = request->page_token();
    std::size_t bytes = 0;
    for (;;) {
      const auto page = parts_.tables.sessions.page(last, kPageSize);
      for (const auto& [id, session] : page) {
        if (!request->tenant().empty() && session->tenant() != request->tenant()) continue;
        // There is one more: so there is another page.
        if (response->sessions_size() == static_cast<int>(size) || bytes > kPageBytes) {
          response->set_next_page_token(response->sessions().rbegin()->id());
          return Answer();
        }
        auto* const view = response->add_sessions();
        *view = parts_.placer.view({id, session});
        bytes += view->ByteSizeLong();
      }
      if (page.size() < kPageSize) return Answer();
      last = page.back().first;
    }
  });
}

grpc::ServerUnaryReactor* OffloadManagerService::ListHosts(Context* context,
                                                           const v1::ListHostsRequest*,
                                                           v1::ListHostsResponse* response) {
  return handle(Lane::quick, context, "ListHosts", Rights::operator_, [=, this](const Who&) {
    std::vector<std::pair<std::string, std::shared_ptr<const records::HostRecord>>> hosts;
    parts_.tables.hosts.for_each(
        [&](const std::string& id, const auto& host) { hosts.emplace_back(id, host); });
    for (const auto& [id, host] : hosts) {
      auto* const view = response->add_hosts();
      view->set_id(id);
      view->set_address(host->host().control_address());
      view->set_draining(host->draining() || parts_.tables.drains.find(id) != nullptr);
      *view->mutable_capacity() = host->host().capacity();
      *view->mutable_capabilities() = host->host().capabilities();
      view->set_load(host->load_permille() / 1000.0);
      if (const auto reservation = parts_.tables.reservations.find(id)) {
        *view->mutable_reserved() = reservation->reserved();
        view->set_sessions(reservation->sessions());
      }
    }
    return Answer();
  });
}

grpc::ServerUnaryReactor* OffloadManagerService::ListTenants(Context* context,
                                                             const v1::ListTenantsRequest*,
                                                             v1::ListTenantsResponse* response) {
  return handle(Lane::quick, context, "ListTenants", Rights::operator_, [=, this](const Who& who) {
    for (const auto& [name, tenant] : who.table->tenants) {
      auto* const view = response->add_tenants();
      view->set_name(name);
      view->set_max_sessions(tenant.max_sessions);
      view->mutable_limits()->set_memory_bytes(tenant.memory.count());
      view->mutable_limits()->set_cpu_millicores(tenant.cpu_millicores);
      view->mutable_limits()->set_gpus(tenant.gpus);
      if (const auto quota = parts_.tables.quotas.find(name)) {
        view->set_sessions(quota->sessions());
        *view->mutable_reserved() = quota->reserved();
      }
    }
    return Answer();
  });
}

grpc::ServerUnaryReactor* OffloadManagerService::DrainHost(Context* context,
                                                           const v1::DrainHostRequest* request,
                                                           v1::DrainHostResponse* response) {
  return handle(Lane::quick, context, "DrainHost", Rights::operator_, [=, this](const Who& who) {
    const std::string& host = request->host_id();
    if (!identity::is_name(host)) return Answer({Errc::invalid_argument, "host_id: not a name"});
    auto run = parts_.ledger.run([&](Draft& draft) -> Result<void> {
      const bool is_there = draft.read(parts_.tables.hosts, host) != nullptr;
      if (request->undo()) {
        draft.erase(parts_.tables.drains, host);
        return {};
      }
      if (!is_there) return fail(Errc::not_found, "no such host: " + host);
      draft.write(parts_.tables.drains, host, records::DrainRecord{});
      return {};
    });
    if (!run) return Answer(run.error());
    spdlog::info("host {} {} drained, says {}", host, request->undo() ? "is no longer" : "is",
                 who.caller.name);
    std::uint32_t moving = 0;
    if (!request->undo()) {
      parts_.tables.sessions.for_each_in_turns([&](const std::string&, const auto& session) {
        moving += session->host() == host ? 1U : 0U;
      });
    }
    response->set_sessions_moving(moving);
    parts_.caretaker.wake();
    return Answer();
  });
}

}  // namespace aloft::cluster
