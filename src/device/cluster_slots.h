// Follows a session through a cluster: of the runtime's two edges (slots) one is where the session
// is, the other one is where it goes next.
//
//   a placement comes -> the other slot is routed there -> its link is up, its modules are open
//     -> calls go there from now on              (make)
//     -> objects and channels' ends are moved there
//     -> what was under way at the old one ends  (bounded by what a call may take)
//     -> the old slot is unrouted                (break)
//
// So a move fails no call and stalls none. A slot that cannot be reached, or is refused, is
// reported to the client, which has the cluster place the session elsewhere; calls go on at the old
// one, or here, meanwhile. All of it is one thread's work, which waits for links and for the
// client's news.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "device/cluster_client.h"
#include "function/call_dispatcher.h"
#include "function/log.h"
#include "function/remote_session.h"
#include <aloft/result.h>

namespace aloft::device {

struct ClusterSlotsOptions {
  std::shared_ptr<ClusterClient> client;  // not null
  std::vector<ModuleWanted> modules;
  // What calls that are under way may take when the session moves on.
  std::chrono::milliseconds drain{5000};
  // A link that is down for so long is given up: another host is asked for.
  std::chrono::milliseconds patience{1000};
  // The same of one that is up, until the modules are open there (a model may have to be uploaded).
  std::chrono::milliseconds opening{30000};
};

// Thread rule: any thread.
class ClusterSlots final : private PlacementSink {
 public:
  static constexpr std::size_t kSlots = 2;
  using Sessions = std::array<function::RemoteSession*, kSlots>;

  ClusterSlots(ClusterSlotsOptions options, const function::Log& log);
  ~ClusterSlots();  // after stop()
  ClusterSlots(const ClusterSlots&) = delete;
  ClusterSlots& operator=(const ClusterSlots&) = delete;

  // Once. What it is given is used until stop() returns. Errors: ClusterClient::start's.
  [[nodiscard]] Result<void> start(Sessions sessions, function::CallDispatcher& dispatcher);
  void stop();
  // A session's link has changed (SessionOptions::on_change). Does not block.
  void wake();

  // Waits until the session is somewhere and calls can go there. Errors: at once what the cluster
  // says of this device (refused, invalid_argument) or what a host refused; else unreachable or
  // overloaded after `timeout`, with what was last in the way.
  [[nodiscard]] Result<void> wait_ready(std::chrono::milliseconds timeout);

 private:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Used {
    Placement placement;
    std::size_t slot = 0;
    bool ready = false;            // when it was looked at last
    bool other_authority = false;  // than the one that its link was checked by
    std::optional<PlacementHealth> told{};
  };

  void on_placement(Placement placement) override;
  void on_no_placement(Error why) override;

  // The thread's, without the lock.
  void run();
  void place(Placement placement);
  void renew(Used& used, Placement placement);
  [[nodiscard]] Result<function::Route> route_to(const Placement& placement) const;
  // Looks at a link; answers when it is to be looked at again by itself.
  [[nodiscard]] TimePoint look(Used& used);
  void tell(Used& used, PlacementHealth health);
  void switch_over();
  const ClusterSlotsOptions options_;
  const function::Log& log_;
  Sessions sessions_{};
  function::CallDispatcher* dispatcher_ = nullptr;

  std::stop_source stop_;  // requested without the lock: sessions that are waited for take theirs
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t changes_ = 0;
  std::vector<Placement> news_;  // at most one a session and generation; what is stale is dropped
  std::optional<Error> no_placement_;

  std::optional<Used> current_;  // the thread's
  std::optional<Used> coming_;   // the thread's
  std::thread thread_;
};

}  // namespace aloft::device
