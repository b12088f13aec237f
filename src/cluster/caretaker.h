// What managers do unasked, each for its share of the sessions:
//
//   a host's lease has ended, or its daemon was started anew  -> its sessions are placed elsewhere
//   a host drains                                             -> its sessions move, a few at a time
//   a session waits, and there may be room                    -> it is placed
//   a placement was begun, and not ended                      -> it is gone on with
//   a moved session had time to go                            -> its former host gets its room back
//   nobody has renewed a session                              -> it is closed
//   hosts are loaded unevenly, where that is wanted           -> a few sessions move
//   a rollout says another version of its module              -> it goes over to it
//   a version fails more than it may                          -> its rollout is taken back
//   what a session was opened with has been revoked           -> it is closed
//
// A session is its manager's whom rendezvous hashing chooses of those that are there; the others
// look after it when that one has not, a while later. Nothing goes wrong when two do: each is a
// transaction of its own.
//
// Expiry counts only while sessions could be renewed: after a time without the store, or without
// any manager, or without room for the store to write, none is closed before each had a whole
// life's time to come back. And a host is gone only when it could have told a manager that it is
// there: for the time of a lease after a manager was out of contact, one that is missing may be on
// its way.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cluster/placer.h"
#include "cluster/pool.h"
#include "cluster/rebalancer.h"
#include "cluster/rollouts.h"
#include "cluster/session_table.h"
#include "cluster/store.h"
#include "cluster/table.h"
#include "cluster/tenants.h"

namespace aloft::cluster {

struct CaretakerOptions {
  std::string manager;  // this one's name
  std::string address;  // for people
  std::chrono::milliseconds period{500};
  std::chrono::milliseconds others_after{2'000};  // when another manager's share is looked after
  // When a placement that no host has prepared is gone on with: its manager may be no more.
  std::chrono::milliseconds unprepared_after{12'000};
  std::chrono::milliseconds session_lives{60'000};
  std::chrono::seconds host_lease{3};
  std::chrono::seconds manager_lease{5};
  // Of sessions that move from draining hosts, or to another version.
  std::size_t moving_at_once = 16;
  std::size_t threads = 16;
  bool rebalance = false;
  std::chrono::milliseconds rebalance_every{10'000};
};

// Thread rule: any thread.
class Caretaker {
 public:
  using TenantTableSource = std::function<std::shared_ptr<const TenantTable>()>;

  Caretaker(Store& store, Tables& tables, Ledger& ledger, SessionTable& sessions, Placer& placer,
            Rollouts& rollouts, SessionTable::Now now, TenantTableSource tenants,
            CaretakerOptions options);
  ~Caretaker();  // stop(), where that has not been called
  Caretaker(const Caretaker&) = delete;
  Caretaker& operator=(const Caretaker&) = delete;

  // Waits for what is under way, and gives up the manager's lease. Once.
  void stop();
  // Something changed that matters here: looks at once, not only after its period.
  void wake();
  // A host's record has changed; null: it is gone. Wakes where sessions are concerned: a host says
  // how loaded it is far more often than it comes, goes or drains.
  void hear(const std::string& host, const records::HostRecord* record);
  // The store can be reached, and what is known of it is kept up to date.
  [[nodiscard]] bool in_contact() const;

  struct Counts {
    std::uint64_t expired = 0, revoked = 0, placed_again = 0, moved = 0, changed_version = 0;
  };
  [[nodiscard]] Counts counts() const;

 private:
  using Clock = std::chrono::steady_clock;
  enum class Task : std::uint8_t {
    none,
    revoke,
    expire,
    place_again,
    place_waiting,
    settle,
    move,
    version,
    leave
  };
  // Of which there are only so many at a time.
  static bool is_bounded(Task task) { return task == Task::move || task == Task::version; }

  void work();
  void stay_registered();
  void look_after_all();
  [[nodiscard]] Task task_for(const std::string& id, const SessionRecord& session,
                              const Revocations& revoked, ClusterTime now) const;
  // Another version of its modules is due. Never in the middle of a move, but to go back.
  [[nodiscard]] bool wants_version(const std::string& id, const SessionRecord& session) const;
  // Has its host ready for the versions that it is to have. False: not now, or never.
  [[nodiscard]] bool prepare_version(const KnownSession& session, const Tenant& tenant);
  void close(const KnownSession& session, Task why);
  // `to`: a move's host; empty: the best.
  void carry_out(const KnownSession& session, Task task, const std::string& to);
  struct Found {
    KnownSession session;
    Task task = Task::none;
    std::string to{};
  };
  void rebalance(std::vector<Found>& found);
  [[nodiscard]] bool is_mine(const std::string& id) const;

  Store& store_;
  Tables& tables_;
  Ledger& ledger_;
  SessionTable& sessions_;
  Placer& placer_;
  Rollouts& rollouts_;
  const SessionTable::Now now_;
  const TenantTableSource tenants_;
  const CaretakerOptions options_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false, ending_ = false;
  Counts counts_;
  std::set<std::string> busy_;  // sessions with a task under way
  std::size_t moving_ = 0;
  std::map<std::string, Clock::time_point> seen_;        // tasks for later, since when
  std::map<std::string, Clock::time_point> not_before_;  // tasks that came to nothing a moment ago
  struct Heard {
    std::string boot;
    bool draining = false;
    [[nodiscard]] bool operator==(const Heard&) const = default;
  };
  std::map<std::string, Heard> heard_;  // by host

  // The thread's own.
  LeaseId lease_ = 0;
  std::vector<std::string> managers_;
  std::set<std::string> draining_;
  bool has_rollouts_ = false;
  Rebalancer rebalancer_;
  Clock::time_point rebalance_next_{};
  std::map<std::string, std::string> boots_;  // of the hosts that are there

  bool in_contact_ = false;
  Clock::time_point contact_since_;
  std::uint64_t failures_ = 0;  // of the ledger, when it was last looked at
  Clock::time_point failed_;    // the last time that there were more of them
  Pool pool_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace aloft::cluster
