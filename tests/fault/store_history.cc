#include "store_history.h"

#include <string_view>
#include <utility>

#include "aloft/cluster/records.pb.h"
#include "cluster/etcd_store.h"

namespace aloft::testing {
namespace {

using cluster::records::HostRecord;
using cluster::records::ReservationRecord;
using cluster::records::SessionRecord;

constexpr std::string_view kSessions = "sessions/";
constexpr std::string_view kReservations = "reservations/";
constexpr std::size_t kShown = 10;

// The name behind this prefix; none: it is another kind of record.
std::optional<std::string> name_in(const std::string& key, std::string_view prefix) {
  if (!key.starts_with(prefix)) return std::nullopt;
  return key.substr(prefix.size());
}

struct Amount {
  std::uint64_t memory = 0, cpu = 0, gpus = 0, sessions = 0;
  friend bool operator==(const Amount&, const Amount&) = default;
  void add(const v1::Resources& resources) {
    memory += resources.memory_bytes();
    cpu += resources.cpu_millicores();
    gpus += resources.gpus();
    ++sessions;
  }
  [[nodiscard]] bool exceeds(const v1::Resources& capacity) const {
    return memory > capacity.memory_bytes() || cpu > capacity.cpu_millicores() ||
           gpus > capacity.gpus();
  }
  [[nodiscard]] std::string text() const {
    return std::to_string(memory) + " bytes, " + std::to_string(cpu) + " millicores, " +
           std::to_string(gpus) + " GPUs, " + std::to_string(sessions) + " sessions";
  }
};

// The sessions and reservations as they are at one revision.
class State {
 public:
  void apply(const cluster::Event& event) {
    if (const auto session = name_in(event.key, kSessions)) {
      sessions_.erase(*session);
      if (event.value) sessions_[*session].ParseFromString(*event.value);
    } else if (const auto host = name_in(event.key, kReservations)) {
      reservations_.erase(*host);
      if (event.value) reservations_[*host].ParseFromString(*event.value);
    }
  }
  void check(cluster::Revision revision, std::vector<std::string>& wrong) const {
    std::map<std::string, Amount> used;
    for (const auto& [id, session] : sessions_) {
      for (const std::string& host : {session.host(), session.leaving_host()}) {
        if (!host.empty()) used[host].add(session.resources());
      }
    }
    for (const auto& [host, reservation] : reservations_) used[host];
    for (const auto& [host, amount] : used) {
      const auto found = reservations_.find(host);
      const ReservationRecord& kept =
          found == reservations_.end() ? ReservationRecord::default_instance() : found->second;
      Amount promised;
      promised.add(kept.reserved());
      promised.sessions = kept.sessions();
      const std::string where = "revision " + std::to_string(revision) + ", host " + host + ": ";
      if (promised != amount)
        wrong.push_back(where + "reserved are " + promised.text() + ", its sessions have " +
                        amount.text());
      if (amount.exceeds(kept.capacity()))
        wrong.push_back(where + "its sessions have " + amount.text() + ", of " +
                        kept.capacity().ShortDebugString());
    }
  }

 private:
  std::map<std::string, SessionRecord> sessions_;
  std::map<std::string, ReservationRecord> reservations_;
};

}  // namespace

Result<std::unique_ptr<StoreHistory>> StoreHistory::follow(std::vector<std::string> endpoints,
                                                           const std::string& cluster) {
  std::unique_ptr<StoreHistory> history(new StoreHistory);
  auto store = cluster::EtcdStore::open(
      {.endpoints = std::move(endpoints), .prefix = "aloft/" + cluster + "/"});
  if (!store) return std::unexpected(store.error());
  history->store_ = std::move(*store);
  auto watch =
      history->store_->watch("", 0,
                             {.on_events =
                                  [raw = history.get()](const std::vector<cluster::Event>& events) {
                                    const auto now = Clock::now();
                                    const std::lock_guard lock(raw->mutex_);
                                    for (const cluster::Event& event : events)
                                      raw->heard_.push_back({event, now});
                                    raw->changed_.notify_all();
                                  },
                              .on_lost =
                                  [raw = history.get()] {
                                    const std::lock_guard lock(raw->mutex_);
                                    raw->lost_ = true;
                                    raw->changed_.notify_all();
                                  }});
  if (!watch) return std::unexpected(watch.error());
  history->watch_ = std::move(*watch);
  return history;
}

Result<void> StoreHistory::catch_up(std::chrono::milliseconds limit) {
  // Its own key, so that there is something to wait for.
  const std::string key = "history/" + std::to_string(Clock::now().time_since_epoch().count());
  const auto until = Clock::now() + limit;
  Result<cluster::Committed> made = fail(Errc::unreachable, "not tried");
  while (!made && Clock::now() < until)
    made = store_->commit({.conditions = {}, .changes = {{key, "here", 0}}});
  if (!made) return std::unexpected(made.error());
  std::unique_lock lock(mutex_);
  const bool there = changed_.wait_until(lock, until, [&] {
    return lost_ || (!heard_.empty() && heard_.back().event.revision >= made->revision);
  });
  if (lost_) return fail(Errc::corrupt, "etcd has forgotten a part of its history");
  if (!there) return fail(Errc::deadline_exceeded, "the history is not told in time");
  return {};
}

std::vector<std::string> StoreHistory::violations() const {
  std::vector<std::string> wrong;
  State state;
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < heard_.size() && wrong.size() < kShown; ++i) {
    state.apply(heard_[i].event);
    const cluster::Revision revision = heard_[i].event.revision;
    const bool last = i + 1 == heard_.size() || heard_[i + 1].event.revision != revision;
    if (last) state.check(revision, wrong);
  }
  return wrong;
}

std::size_t StoreHistory::changes() const {
  const std::lock_guard lock(mutex_);
  return heard_.size();
}

std::vector<std::string> StoreHistory::sessions_at(const std::string& host,
                                                   Clock::time_point when) const {
  std::map<std::string, std::string> places;
  const std::lock_guard lock(mutex_);
  for (const Heard& heard : heard_) {
    if (heard.at > when) break;
    const auto session = name_in(heard.event.key, kSessions);
    if (!session) continue;
    SessionRecord record;
    if (heard.event.value) record.ParseFromString(*heard.event.value);
    places[*session] = record.host();
  }
  std::vector<std::string> found;
  for (const auto& [session, place] : places) {
    if (place == host) found.push_back(session);
  }
  return found;
}

std::optional<StoreHistory::Clock::time_point> StoreHistory::moved_from(
    const std::string& host, const std::string& session, Clock::time_point when) const {
  const std::string key = std::string(kSessions) + session;
  const std::lock_guard lock(mutex_);
  for (const Heard& heard : heard_) {
    if (heard.at < when || heard.event.key != key || !heard.event.value) continue;
    SessionRecord record;
    record.ParseFromString(*heard.event.value);
    if (record.host() != host && !record.address().empty()) return heard.at;
  }
  return std::nullopt;
}

bool StoreHistory::is_registered(const std::string& host) const {
  const std::string key = "hosts/" + host;
  const std::lock_guard lock(mutex_);
  for (auto heard = heard_.rbegin(); heard != heard_.rend(); ++heard) {
    if (heard->event.key == key) return heard->event.value.has_value();
  }
  return false;
}

}  // namespace aloft::testing
