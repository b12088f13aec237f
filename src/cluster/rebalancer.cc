#include "cluster/rebalancer.h"

#include <algorithm>
#include <iterator>

namespace aloft::cluster {
namespace {

double pressure(const BalancedHost& host) {
  if (host.cpu_millicores == 0) return 0;
  const double promised =
      static_cast<double>(host.reserved_millicores) / static_cast<double>(host.cpu_millicores);
  return (std::min(promised, 1.0) + std::clamp(host.load, 0.0, 1.0)) / 2;
}

// What of a host's load is this session's: as much of it as it has of what is promised.
double share_of_load(const BalancedHost& host, const BalancedSession& session) {
  if (host.reserved_millicores == 0) return 0;
  return std::clamp(host.load, 0.0, 1.0) * static_cast<double>(session.cpu_millicores) /
         static_cast<double>(host.reserved_millicores);
}

bool has_room(const BalancedHost& host, const BalancedSession& session) {
  return !host.draining && session.memory_bytes <= host.memory_left &&
         host.reserved_millicores + session.cpu_millicores <= host.cpu_millicores;
}

// As if it had been moved; both hosts change.
double move(BalancedHost& from, BalancedHost& to, const BalancedSession& session) {
  const double load = share_of_load(from, session);
  from.reserved_millicores -= std::min(from.reserved_millicores, session.cpu_millicores);
  from.memory_left += session.memory_bytes;
  from.load -= load;
  to.reserved_millicores += session.cpu_millicores;
  to.memory_left -= std::min(to.memory_left, session.memory_bytes);
  to.load += load * static_cast<double>(from.cpu_millicores) /
             static_cast<double>(std::max<std::uint64_t>(to.cpu_millicores, 1));
  return load;
}

}  // namespace

BalanceState balance_state(const Tables& tables) {
  BalanceState state;
  tables.hosts.for_each([&](const std::string& id, const auto& host) {
    const auto& capacity = host->host().capacity();
    state.hosts.push_back({.id = id,
                           .cpu_millicores = capacity.cpu_millicores(),
                           .memory_left = capacity.memory_bytes(),
                           .load = host->load_permille() / 1000.0,
                           .draining = host->draining()});
  });
  for (BalancedHost& host : state.hosts) {
    host.draining |= tables.drains.find(host.id) != nullptr;
    const auto reservation = tables.reservations.find(host.id);
    if (!reservation) continue;
    host.reserved_millicores = reservation->reserved().cpu_millicores();
    host.memory_left -= std::min(host.memory_left, reservation->reserved().memory_bytes());
  }
  tables.sessions.for_each_in_turns([&](const std::string& id, const auto& session) {
    if (!session->leaving_host().empty()) {
      // Where it goes from keeps its room for a while; its load is where it goes to.
      const auto former =
          std::ranges::find(state.hosts, session->leaving_host(), &BalancedHost::id);
      if (former != state.hosts.end()) {
        former->reserved_millicores -= std::min<std::uint64_t>(
            former->reserved_millicores, session->resources().cpu_millicores());
      }
      return;
    }
    if (session->address().empty()) return;
    // What it needs, the other host may lack, and nobody has said what is where: it stays.
    if (session->needs().models_size() > 0 || session->needs().accelerators_size() > 0) return;
    state.sessions.push_back({.id = id,
                              .host = session->host(),
                              .cpu_millicores = session->resources().cpu_millicores(),
                              .memory_bytes = session->resources().memory_bytes()});
  });
  return state;
}

std::vector<Rebalancer::Move> Rebalancer::plan(std::vector<BalancedHost> hosts,
                                               const std::vector<BalancedSession>& sessions,
                                               Clock::time_point now) {
  std::erase_if(resting_, [&](const auto& one) { return one.second <= now; });
  std::erase_if(moved_, [&](const Moved& one) { return now - one.at >= options_.load_lag; });
  for (const Moved& one : moved_) {
    const auto at = std::ranges::find(hosts, one.host, &BalancedHost::id);
    if (at == hosts.end()) continue;
    const auto age = std::chrono::duration<double>(now - one.at);
    at->load += one.load * (1 - age / std::chrono::duration<double>(options_.load_lag));
  }

  std::vector<Move> moves;
  while (moves.size() < options_.moves) {
    std::ranges::sort(hosts, {}, pressure);
    // A host that is to be emptied is not what others are measured by.
    const auto idle = std::ranges::find(hosts, false, &BalancedHost::draining);
    if (idle == hosts.end() || idle == std::prev(hosts.end())) break;
    BalancedHost& from = hosts.back();
    const double apart = pressure(from) - pressure(*idle);
    if (apart <= (active_ ? options_.end : options_.begin) || from.draining) {
      active_ = false;
      break;
    }
    // The largest that does not turn the difference round.
    const BalancedSession* best = nullptr;
    for (const BalancedSession& session : sessions) {
      if (session.host != from.id || resting_.contains(session.id) || !has_room(*idle, session))
        continue;
      if (best != nullptr && session.cpu_millicores <= best->cpu_millicores) continue;
      BalancedHost former = from;
      BalancedHost other = *idle;
      (void)move(former, other, session);
      if (pressure(former) >= pressure(other)) best = &session;
    }
    if (best == nullptr) {
      active_ = false;
      break;
    }
    active_ = true;
    const std::uint64_t from_has = from.cpu_millicores;
    const double load = move(from, *idle, *best);
    moved_.push_back({from.id, -load, now});
    moved_.push_back({idle->id,
                      load * static_cast<double>(from_has) /
                          static_cast<double>(std::max<std::uint64_t>(idle->cpu_millicores, 1)),
                      now});
    resting_.insert_or_assign(best->id, now + options_.session_rest);
    moves.push_back({best->id, from.id, idle->id});
  }
  return moves;
}

}  // namespace aloft::cluster
