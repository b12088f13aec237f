#include "cluster/caretaker.h"

#include <algorithm>
#include <string_view>

#include <spdlog/spdlog.h>

#include "cluster/hash.h"

namespace aloft::cluster {
namespace {

constexpr std::size_t kMaxWaiting = 4096;  // tasks
constexpr std::chrono::milliseconds kAfterNothing{1000};

}  // namespace

Caretaker::Caretaker(Store& store, Tables& tables, Ledger& ledger, SessionTable& sessions,
                     Placer& placer, Rollouts& rollouts, SessionTable::Now now,
                     TenantTableSource tenants, CaretakerOptions options)
    : store_(store),
      tables_(tables),
      ledger_(ledger),
      sessions_(sessions),
      placer_(placer),
      rollouts_(rollouts),
      now_(std::move(now)),
      tenants_(std::move(tenants)),
      options_(std::move(options)),
      pool_(options_.threads, kMaxWaiting),
      thread_([this] { work(); }) {}

Caretaker::~Caretaker() { stop(); }

void Caretaker::stop() {
  {
    const std::scoped_lock lock(mutex_);
    if (std::exchange(ending_, true)) return;
  }
  changed_.notify_all();
  thread_.join();
  pool_.end();
  if (lease_ != 0) (void)store_.revoke_lease(lease_);
}

void Caretaker::wake() {
  {
    const std::scoped_lock lock(mutex_);
    woken_ = true;
  }
  changed_.notify_all();
}

void Caretaker::hear(const std::string& host, const records::HostRecord* record) {
  {
    const std::scoped_lock lock(mutex_);
    if (record == nullptr) {
      heard_.erase(host);
    } else {
      Heard now{record->host().boot_id(), record->draining()};
      Heard& known = heard_[host];
      if (known == now) return;
      known = std::move(now);
    }
  }
  wake();
}

bool Caretaker::in_contact() const {
  const std::scoped_lock lock(mutex_);
  return in_contact_;
}

Caretaker::Counts Caretaker::counts() const {
  const std::scoped_lock lock(mutex_);
  return counts_;
}

void Caretaker::work() {
  auto register_next = Clock::now();
  for (;;) {
    if (Clock::now() >= register_next) {
      stay_registered();
      register_next = Clock::now() + std::chrono::seconds(1);
    }
    look_after_all();
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, options_.period, [&] { return ending_ || woken_; });
    if (ending_) return;
    woken_ = false;
  }
}

// Also the test whether the store can be reached: it is the one call that is made all the time.
void Caretaker::stay_registered() {
  Result<void> contact = tables_.follow(store_);
  if (contact && lease_ != 0) {
    contact = store_.keep_alive(lease_);
    if (!contact && contact.error().code == Errc::not_found) lease_ = 0;
  }
  if (lease_ == 0) {
    if (auto granted = store_.grant_lease(options_.manager_lease)) {
      lease_ = *granted;
      contact = ledger_.run([&](Draft& draft) -> Result<void> {
        auto record = draft.edit(tables_.managers, options_.manager);
        record.set_lease(lease_);
        record.set_address(options_.address);
        draft.write(tables_.managers, options_.manager, std::move(record), lease_);
        return {};
      });
    } else {
      contact = std::unexpected(granted.error());
    }
  }
  bool had = false;
  {
    const std::scoped_lock lock(mutex_);
    had = std::exchange(in_contact_, contact.has_value());
  }
  if (const std::uint64_t failures = ledger_.counts().failures; failures != failures_) {
    failures_ = failures;
    failed_ = Clock::now();
  }
  if (contact && !had) {
    contact_since_ = Clock::now();
    spdlog::info("the cluster's state can be reached");
  }
  if (!contact && had) {
    spdlog::warn("the cluster's state cannot be reached: {}; running sessions go on",
                 contact.error().message);
  }
}

bool Caretaker::is_mine(const std::string& id) const {
  const std::string* best = nullptr;
  std::uint64_t most = 0;
  for (const std::string& manager : managers_) {
    const std::uint64_t its = weight(manager, id);
    if (best == nullptr || its > most) {
      best = &manager;
      most = its;
    }
  }
  return best == nullptr || *best == options_.manager;
}

bool Caretaker::wants_version(const std::string& id, const SessionRecord& session) const {
  if (!has_rollouts_ || session.asked_modules().empty()) return false;
  const Modules wanted = sessions_.wanted_modules(id, session);
  if (same_modules(wanted, session.modules())) return false;
  if (session.leaving_host().empty() && !session.address().empty()) return true;
  // In the middle of a move, or before it is anywhere, only away from what is not to be used.
  return std::ranges::any_of(wanted, [&](const v1::ModuleRef& module) {
    const auto rollout = tables_.rollouts.find(rollout_id(session.tenant(), module.name()));
    return rollout && (rollout->state() == v1::Rollout::ABORTED ||
                       rollout->state() == v1::Rollout::TAKEN_BACK);
  });
}

Caretaker::Task Caretaker::task_for(const std::string& id, const SessionRecord& session,
                                    const Revocations& revoked, ClusterTime now) const {
  if (is_revoked(session, revoked)) return Task::revoke;
  const auto clock = Clock::now();
  const bool could_renew = clock - std::max(contact_since_, failed_) > options_.session_lives;
  const auto at = static_cast<std::uint64_t>(std::max<std::int64_t>(now.count(), 0));
  if (could_renew && session.expires_ms() <= at) return Task::expire;
  if (session.host().empty()) return Task::place_waiting;
  const auto host = boots_.find(session.host());
  if (host == boots_.end())
    return clock - contact_since_ > options_.host_lease ? Task::place_again : Task::none;
  if (host->second != session.host_boot()) return Task::place_again;
  if (wants_version(id, session)) return Task::version;
  if (session.address().empty()) return Task::settle;
  if (!session.leaving_host().empty()) {
    return session.leaving_until_ms() <= at || !boots_.contains(session.leaving_host())
               ? Task::leave
               : Task::none;
  }
  if (draining_.contains(session.host())) return Task::move;
  return Task::none;
}

void Caretaker::look_after_all() {
  {
    const std::scoped_lock lock(mutex_);
    if (!in_contact_) return;
  }
  if (!tables_.following()) return;
  managers_.clear();
  tables_.managers.for_each([&](const std::string& id, const auto&) { managers_.push_back(id); });
  boots_.clear();
  draining_.clear();
  tables_.hosts.for_each([&](const std::string& id, const auto& host) {
    boots_.emplace(id, host->host().boot_id());
    if (host->draining()) draining_.insert(id);
  });
  tables_.drains.for_each([&](const std::string& id, const auto&) { draining_.insert(id); });

  rollouts_.look(Clock::now());
  has_rollouts_ = tables_.rollouts.size() > 0;

  const ClusterTime now = now_();
  const auto table = tenants_();
  std::vector<Found> found;
  tables_.sessions.for_each_in_turns([&](const std::string& id, const auto& session) {
    const Task task = task_for(id, *session, table->revoked, now);
    if (task != Task::none) found.push_back({KnownSession{id, session}, task});
  });
  rebalance(found);

  const auto clock = Clock::now();
  std::map<std::string, Clock::time_point> still;
  std::vector<Found> started;
  {
    const std::scoped_lock lock(mutex_);
    std::erase_if(not_before_, [&](const auto& entry) { return entry.second <= clock; });
    for (auto& [session, task, to] : found) {
      if (busy_.contains(session.id) || not_before_.contains(session.id)) continue;
      std::chrono::milliseconds patience{0};
      if (task == Task::settle) {
        patience = options_.unprepared_after;
      } else if (to.empty() && !is_mine(session.id)) {
        patience = options_.others_after;
      }
      if (patience.count() > 0) {
        const auto seen = seen_.find(session.id);
        const auto since = seen == seen_.end() ? clock : seen->second;
        still.emplace(session.id, since);
        if (clock - since < patience) continue;
      }
      if (is_bounded(task)) {
        if (moving_ >= options_.moving_at_once) continue;
        ++moving_;
      }
      busy_.insert(session.id);
      started.push_back({std::move(session), task, std::move(to)});
    }
    seen_ = std::move(still);
  }
  for (auto& [known, its_task, its_host] : started) {
    const bool posted = pool_.post([this, session = known, task = its_task, to = its_host] {
      carry_out(session, task, to);
      const std::scoped_lock lock(mutex_);
      busy_.erase(session.id);
      if (is_bounded(task)) {
        --moving_;
        woken_ = true;  // the next one may go
        changed_.notify_all();
      }
    });
    if (posted) continue;
    const std::scoped_lock lock(mutex_);
    busy_.erase(known.id);
    if (is_bounded(its_task)) --moving_;
  }
}

// Before anything is changed: a version that cannot be had here leaves the one before serving.
bool Caretaker::prepare_version(const KnownSession& session, const Tenant& tenant) {
  const SessionRecord& record = *session.record;
  for (const v1::ModuleRef& wanted : sessions_.wanted_modules(session.id, record)) {
    const bool has = std::ranges::any_of(
        record.modules(), [&](const auto& module) { return module.digest() == wanted.digest(); });
    if (has) continue;
    const auto ready = placer_.inspect(record.host(), tenant, wanted);
    if (ready) continue;
    spdlog::warn("session {} stays with the version that it has: {}", session.id,
                 ready.error().message);
    // A host of a version that cannot look into modules says nothing about them.
    const Errc why = ready.error().code;
    if (!another_may_do(why) && why != Errc::version_mismatch) {
      (void)rollouts_.take_back(rollout_id(record.tenant(), wanted.name()), wanted.digest(),
                                ready.error().message);
    }
    return false;
  }
  return true;
}

// One manager's, or several would move the same load.
void Caretaker::rebalance(std::vector<Found>& found) {
  if (!options_.rebalance || Clock::now() < rebalance_next_) return;
  rebalance_next_ = Clock::now() + options_.rebalance_every;
  if (!is_mine("rebalance")) return;
  auto state = balance_state(tables_);
  for (const auto& move : rebalancer_.plan(std::move(state.hosts), state.sessions, Clock::now())) {
    if (auto session = sessions_.find(move.session))
      found.push_back({*std::move(session), Task::move, move.to});
  }
}

void Caretaker::close(const KnownSession& session, Task why) {
  const bool expires = why == Task::expire;
  auto closed =
      sessions_.close(session.id, expires ? SessionTable::End::if_expired : SessionTable::End::now);
  {
    const std::scoped_lock lock(mutex_);
    if (!closed) not_before_[session.id] = Clock::now() + kAfterNothing;
    if (closed && *closed) ++(expires ? counts_.expired : counts_.revoked);
  }
  if (!closed || !*closed) return;
  spdlog::info("session {} of tenant {} {}: closed", session.id, session.record->tenant(),
               expires ? "was not renewed" : "was opened with what has been revoked");
  placer_.release(**closed);
}

void Caretaker::carry_out(const KnownSession& session, Task task, const std::string& to) {
  const auto wait_a_while = [&] {
    const std::scoped_lock lock(mutex_);
    not_before_[session.id] = Clock::now() + kAfterNothing;
  };
  const auto count = [&](std::uint64_t Counts::* which) {
    const std::scoped_lock lock(mutex_);
    ++(counts_.*which);
  };
  if (task == Task::expire || task == Task::revoke) return close(session, task);
  if (task == Task::leave) {
    if (!sessions_.leave(session.id, session.record->leaving_generation())) return wait_a_while();
    return placer_.release(session, session.record->leaving_host(),
                           session.record->leaving_generation());
  }

  const auto table = tenants_();
  const Tenant* const tenant = table->find(session.record->tenant());
  if (tenant == nullptr) return wait_a_while();  // no longer in the tenants file: it ends by itself
  const bool again = task == Task::place_again;
  const bool version = task == Task::version;
  if (version && !prepare_version(session, *tenant)) return wait_a_while();
  const auto why = again     ? SessionTable::Why::host_gone
                   : version ? SessionTable::Why::version
                             : SessionTable::Why::move;
  const auto placed = task == Task::settle
                          ? placer_.settle(session, *tenant)
                          : placer_.move(session, *tenant, {.why = why, .only = to});
  if (!placed) {
    ops::log(spdlog::level::warn, "the session could not be placed: " + placed.error().message,
             log_fields(session));
    return wait_a_while();
  }
  if (placed->waiting()) return wait_a_while();
  count(again ? &Counts::placed_again : version ? &Counts::changed_version : &Counts::moved);
  if (version) {
    ops::log(spdlog::level::info,
             "the session has another version of its modules, at host " + placed->record->host(),
             log_fields(session));
    return;
  }
  const std::string from = session.record->host().empty() ? "(none)" : session.record->host();
  ops::log(spdlog::level::info,
           "the session went from host " + from + " to host " + placed->record->host(),
           log_fields(session));
}

}  // namespace aloft::cluster
