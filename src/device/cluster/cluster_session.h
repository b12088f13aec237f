// One session at one cluster: renewed, watched, moved away from what does not work, closed at the
// end. Any manager of the cluster answers for all, so that a dead one costs the next call to
// another one; when all are dead the session goes on as it is, and is asked for again with pauses
// that grow.
//
//   opened -- Watch: the session, then each change --------------.
//          -- Renew, three times in its lifetime: a new ticket --+--> what is newer goes to the
//          sink
//          -- Move, when its host was reported, until it moved --'
//
// Two threads: one for what is asked, one that reads the stream of changes. Neither holds a lock
// while it waits for the network.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include "device/cluster/manager_link.h"
#include "device/cluster_client.h"
#include "function/log.h"

namespace aloft::device {

// What is told of a session, from its threads; must not block, nor call the session.
struct SessionEvents {
  std::function<void(Placement)> on_placement;
  // It waits for a host.
  std::function<void(Error)> on_waiting;
  // There is no such session any more: a new one is to be opened.
  std::function<void()> on_gone;
};

// Opens a session at the first manager that grants one. `request` keeps its idempotency key, so
// that an answer that was lost opens no second one. Errors: the weightiest of what the managers
// said.
[[nodiscard]] std::expected<v1::Session, CallFailure> open_session(
    const ManagerLinks& managers, const v1::OpenSessionRequest& request, Calls& calls,
    const ops::Trace& trace = {});

// Thread rule: any thread.
class ClusterSession {
 public:
  // `managers`: not empty, the closest first. `log` outlives it.
  ClusterSession(ManagerLinks managers, std::string id, SessionEvents events,
                 const function::Log& log, ops::Trace trace = {});
  ~ClusterSession();  // leaves it open at the cluster, unless close() was called
  ClusterSession(const ClusterSession&) = delete;
  ClusterSession& operator=(const ClusterSession&) = delete;

  // Once: tells what open_session() gave, and keeps it.
  void start(const v1::Session& opened);

  [[nodiscard]] const std::string& id() const { return id_; }
  // What was found out of the placement of this generation.
  void report(std::uint64_t generation, const std::string& host, PlacementHealth health);
  // The managers that are asked from now on; not empty.
  void use(ManagerLinks managers);
  // Tells nothing more, and has the cluster free what it holds. Waits for a manager for at most
  // `limit`.
  void close(std::chrono::milliseconds limit);

 private:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::milliseconds;
  // What is to be asked for next.
  enum class Wish : std::uint8_t { nothing, renewal, move };

  void work();
  void watch();
  void watch_at(ManagerLink& manager);
  [[nodiscard]] Wish wish(Time now) const;              // under the lock
  [[nodiscard]] std::optional<Time> next_wish() const;  // under the lock
  // Asks one manager; what went wrong is in how things stand afterwards.
  void ask(Wish wish, std::unique_lock<std::mutex>& lock);
  void failed(Wish wish, const CallFailure& failure);  // under the lock
  // A session as a manager says it is. Tells what is new.
  void take(const v1::Session& session);
  // Tells, once, that the session is gone, if it is.
  void tell_gone(std::unique_lock<std::mutex>& lock);
  void stop();
  [[nodiscard]] Duration jittered(Duration pause);  // under the lock

  const std::string id_;
  const SessionEvents events_;
  const function::Log& log_;
  const ops::Trace trace_;
  Calls calls_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool gone_ = false;
  bool told_gone_ = false;
  grpc::ClientContext* watching_ = nullptr;
  ManagerLinks managers_;
  std::size_t at_ = 0;            // the one that is asked
  std::uint64_t failures_ = 0;    // of managers, one after the other
  Time not_before_{};             // pause after failures of managers
  Time move_not_before_{};        // pause after a move that was refused, or was of no use
  Time renewed_{};                // last answer to a renewal
  Duration lifetime_{60'000};     // without one
  std::uint64_t generation_ = 0;  // newest placement
  std::string host_;              // of it
  std::string ticket_;
  // Of the newest placement.
  std::optional<PlacementHealth> health_;
  bool renewal_wanted_ = false;          // at once
  std::uint32_t refusals_ = 0;           // of one generation
  std::map<std::string, Time> avoided_;  // hosts that did not work, until when
  std::minstd_rand random_;
  std::thread worker_, watcher_;
};

}  // namespace aloft::device
