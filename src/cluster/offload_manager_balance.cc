// The part of the Offload Manager that is about hosts as such: evening out their load, and where
// devices can measure how far they are.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <spdlog/spdlog.h>

#include "cluster/offload_manager.h"
#include "cluster/rebalancer.h"

namespace aloft::cluster {
namespace {

constexpr std::size_t kMovesAtOnce = 64;  // of one request
constexpr std::size_t kNearHosts = 16;

}  // namespace

grpc::ServerUnaryReactor* OffloadManagerService::Rebalance(Context* context,
                                                           const v1::RebalanceRequest* request,
                                                           v1::RebalanceResponse* response) {
  return handle(Lane::placing, context, "Rebalance", Rights::operator_, [=, this](const Who& who) {
    // Who asks wants it even, and now: not only from where it would begin by itself.
    RebalanceOptions options;
    options.begin = options.end;
    options.moves = kMovesAtOnce;
    auto state = balance_state(parts_.tables);
    const auto now = Rebalancer::Clock::now();
    for (const auto& move : Rebalancer(options).plan(std::move(state.hosts), state.sessions, now)) {
      if (!request->only_say()) {
        auto session = parts_.sessions.find(move.session);
        const Tenant* const tenant = session ? who.table->find(session->record->tenant()) : nullptr;
        if (tenant == nullptr) continue;
        const auto moved = parts_.placer.move(*session, *tenant, {.only = move.to});
        if (!moved) {
          spdlog::warn("session {} stays at host {}: {}", move.session, move.from,
                       moved.error().message);
          continue;
        }
      }
      auto* const told = response->add_moves();
      told->set_session(move.session);
      told->set_from_host(move.from);
      told->set_to_host(move.to);
    }
    return Answer();
  });
}

grpc::ServerUnaryReactor* OffloadManagerService::ListNearHosts(
    Context* context, const v1::ListNearHostsRequest*, v1::ListNearHostsResponse* response) {
  return handle(Lane::quick, context, "ListNearHosts", Rights::tenant, [=, this](const Who&) {
    struct Near {
      std::string id, address;
      double used = 0;
    };
    std::vector<Near> hosts;
    parts_.tables.hosts.for_each([&](const std::string& id, const auto& host) {
      if (!host->draining())
        hosts.push_back({id, host->host().control_address(), host->load_permille() / 1000.0});
    });
    std::erase_if(hosts,
                  [&](const Near& host) { return parts_.tables.drains.find(host.id) != nullptr; });
    std::ranges::sort(hosts, {}, &Near::used);
    if (hosts.size() > kNearHosts) hosts.resize(kNearHosts);
    for (Near& host : hosts) {
      auto* const told = response->add_hosts();
      told->set_id(std::move(host.id));
      told->set_address(std::move(host.address));
    }
    return Answer();
  });
}

}  // namespace aloft::cluster
