#include "device/cluster_slots.h"

#include <algorithm>
#include <string>
#include <utility>

#include "channel/tls.h"
#include "net/address.h"

namespace aloft::device {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

std::string describe(const Placement& placement) {
  return "host " + placement.host + " (" + placement.address + "), placement " +
         std::to_string(placement.generation) + " of session " + placement.session;
}

// What the cluster says of this device, and will say again.
bool is_final(const Error& why) {
  return why.code == Errc::refused || why.code == Errc::invalid_argument;
}

}  // namespace

ClusterSlots::ClusterSlots(ClusterSlotsOptions options, const function::Log& log)
    : options_(std::move(options)), log_(log) {}

ClusterSlots::~ClusterSlots() { stop(); }

Result<void> ClusterSlots::start(Sessions sessions, function::CallDispatcher& dispatcher) {
  sessions_ = sessions;
  dispatcher_ = &dispatcher;
  dispatcher.prefer(0);
  if (auto started = options_.client->start(options_.modules, *this, log_); !started)
    return started;
  thread_ = std::thread([this] { run(); });
  return {};
}

void ClusterSlots::stop() {
  stop_.request_stop();
  {
    const std::lock_guard lock(mutex_);  // who is about to wait has seen it
  }
  changed_.notify_all();
  if (!thread_.joinable()) return;
  thread_.join();
  // Before the cluster is told: its host would end the link, as one that is lost.
  for (function::RemoteSession* const session : sessions_) session->route(std::nullopt);
  options_.client->stop();
}

// --- News

void ClusterSlots::wake() {
  {
    const std::lock_guard lock(mutex_);
    ++changes_;
  }
  changed_.notify_all();
}

void ClusterSlots::on_placement(Placement placement) {
  {
    const std::lock_guard lock(mutex_);
    ++changes_;
    no_placement_.reset();
    // Only the last of each session is of use.
    std::erase_if(news_, [&](const Placement& old) {
      return old.session == placement.session && old.generation <= placement.generation;
    });
    news_.push_back(std::move(placement));
  }
  changed_.notify_all();
}

void ClusterSlots::on_no_placement(Error why) {
  {
    const std::lock_guard lock(mutex_);
    ++changes_;
    no_placement_ = std::move(why);
  }
  changed_.notify_all();
}

Result<void> ClusterSlots::wait_ready(std::chrono::milliseconds timeout) {
  const auto deadline = steady_clock::now() + timeout;
  const auto ready = [&] {
    return std::ranges::any_of(sessions_, [](const auto* session) { return session->is_ready(); });
  };
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, deadline, [&] {
    return ready() || stop_.stop_requested() || (no_placement_ && is_final(*no_placement_));
  });
  if (ready()) return {};
  if (no_placement_) {
    Error why = *no_placement_;
    if (!is_final(why)) why.message += " (waited " + std::to_string(timeout.count()) + " ms)";
    return std::unexpected(std::move(why));
  }
  lock.unlock();
  Error why{Errc::unreachable, "no manager of the cluster has answered (waited " +
                                   std::to_string(timeout.count()) + " ms)"};
  for (const auto* session : sessions_) {
    const auto state = session->link_state();
    if (state.refused) return std::unexpected(*state.refused);
    if (state.since == TimePoint{}) continue;  // never had a route
    if (auto waited = session->wait_ready(0ms); !waited) why = std::move(waited.error());
  }
  return std::unexpected(std::move(why));
}

// --- The thread

void ClusterSlots::run() {
  TimePoint next = TimePoint::max();
  std::uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto news = [&] { return stop_.stop_requested() || changes_ != seen; };
    if (next == TimePoint::max()) {
      changed_.wait(lock, news);
    } else {
      changed_.wait_until(lock, next, news);
    }
    if (stop_.stop_requested()) return;
    seen = changes_;
    std::vector<Placement> placements = std::exchange(news_, {});
    lock.unlock();
    for (Placement& placement : placements) place(std::move(placement));
    next = TimePoint::max();
    if (coming_) next = std::min(next, look(*coming_));
    if (coming_ && sessions_[coming_->slot]->is_ready()) switch_over();
    if (current_) next = std::min(next, look(*current_));
    lock.lock();
  }
}

Result<function::Route> ClusterSlots::route_to(const Placement& placement) const {
  auto address = net::Address::parse(placement.address);
  if (!address) return std::unexpected(std::move(address).error());
  if (placement.authority.empty()) {
    return fail(Errc::refused, "the cluster does not say whose certificate " + placement.host +
                                   " shows: nothing is sent there in clear");
  }
  auto tls = channel::TlsContext::client_of({.certificate = options_.client->certificate(),
                                             .key = options_.client->key(),
                                             .authority = placement.authority});
  if (!tls) return std::unexpected(std::move(tls).error());
  function::Route route{.edge = *std::move(address),
                        .tls = *std::move(tls),
                        .session = placement.session,
                        .ticket = placement.ticket,
                        .versions = {}};
  // Of a module that it does not name, a slot may still have the version of an earlier placement.
  for (const ModuleWanted& asked : options_.modules) route.versions[asked.name] = asked.digest;
  for (const ModuleWanted& given : placement.modules) route.versions[given.name] = given.digest;
  return route;
}

void ClusterSlots::place(Placement placement) {
  for (auto* const used : {&coming_, &current_}) {
    if (!*used || (*used)->placement.session != placement.session) continue;
    if (placement.generation < (*used)->placement.generation) return;
    if (placement.same_place((*used)->placement)) return renew(**used, std::move(placement));
  }
  auto route = route_to(placement);
  const std::size_t slot = current_ ? 1 - current_->slot : 0;
  coming_ = Used{.placement = std::move(placement), .slot = slot};
  if (!route) {
    log_(LogLevel::error, describe(coming_->placement) + ": " + route.error().message);
    sessions_[slot]->route(std::nullopt);
    tell(*coming_, PlacementHealth::refused);
    coming_.reset();
    return;
  }
  log_(LogLevel::info, "the cluster gives " + describe(coming_->placement));
  sessions_[slot]->route(*std::move(route));
}

// A newer ticket. A link that was refused for good is made anew with it.
void ClusterSlots::renew(Used& used, Placement placement) {
  // A link that is up has been checked; the next one is checked by what the cluster says now.
  used.other_authority |= used.placement.authority != placement.authority;
  used.placement = std::move(placement);
  const auto state = sessions_[used.slot]->link_state();
  if (state.up || !(state.refused || used.other_authority))
    return sessions_[used.slot]->renew_ticket(used.placement.ticket);
  used.other_authority = false;
  if (auto route = route_to(used.placement)) {
    used.told.reset();
    sessions_[used.slot]->route(*std::move(route));
  }
}

ClusterSlots::TimePoint ClusterSlots::look(Used& used) {
  const auto state = sessions_[used.slot]->link_state();
  if (state.ready) {
    if (current_ && &used == &*current_ && !std::exchange(used.ready, true)) {
      tell(used, PlacementHealth::in_use);
      dispatcher_->bring_ends();  // that were recovered here meanwhile
    }
    return TimePoint::max();
  }
  used.ready = false;
  if (used.other_authority && !state.up) {
    Placement same = used.placement;
    renew(used, std::move(same));
    return steady_clock::now() + options_.patience;
  }
  if (state.refused) {
    tell(used, PlacementHealth::refused);
    return TimePoint::max();
  }
  const TimePoint given_up = state.since + (state.up ? options_.opening : options_.patience);
  if (steady_clock::now() < given_up) return given_up;
  tell(used, PlacementHealth::unreachable);
  return TimePoint::max();
}

void ClusterSlots::tell(Used& used, PlacementHealth health) {
  if (used.told == health) return;
  used.told = health;
  options_.client->report(used.placement, health);
}

void ClusterSlots::switch_over() {
  const std::optional<Used> old = std::exchange(current_, std::exchange(coming_, std::nullopt));
  dispatcher_->prefer(static_cast<function::EdgeIndex>(current_->slot));
  log_(LogLevel::info, "the session is at " + describe(current_->placement));
  current_->ready = true;
  tell(*current_, PlacementHealth::in_use);
  dispatcher_->bring_ends();
  if (!old) return;
  function::RemoteSession& left = *sessions_[old->slot];
  (void)left.wait_idle(steady_clock::now() + options_.drain, stop_.get_token());
  if (!stop_.stop_requested()) left.route(std::nullopt);
}

}  // namespace aloft::device
