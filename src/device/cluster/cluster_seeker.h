// Finds the closest cluster that accepts this device, keeps a session there, and moves on when
// another cluster has become closer: opens a session there, and closes the old one once calls go to
// the new one.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "device/cluster/client_key.h"
#include "device/cluster/cluster_session.h"
#include "device/cluster/discovery.h"
#include "device/cluster_client.h"
#include "device/network_changes.h"
#include <aloft/cluster.h>

namespace aloft::device {

class ClusterSeeker final : public ClusterClient {
 public:
  ClusterSeeker(ClusterOptions options, ClientKey key);
  ~ClusterSeeker() override;

  Result<void> start(std::vector<ModuleWanted> modules, PlacementSink& sink,
                     const function::Log& log) override;
  void stop() override;
  void report(const Placement& placement, PlacementHealth health) override;
  [[nodiscard]] const std::string& certificate() const override { return key_.certificate; }
  [[nodiscard]] const std::string& key() const override { return key_.key; }

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Joined {
    std::string cluster;
    std::shared_ptr<ClusterSession> session;
  };

  // The thread's.
  void run(Discovery& discovery);
  // Does what there is to do; answers when to look again.
  [[nodiscard]] Time step(Discovery& discovery);
  [[nodiscard]] Time join_any(const std::vector<FoundCluster>& found);
  void join_closer(const std::vector<FoundCluster>& found);
  [[nodiscard]] std::expected<Joined, CallFailure> join(const FoundCluster& cluster);
  void settle();
  void leave(std::optional<Joined>& joined, std::chrono::milliseconds limit);
  [[nodiscard]] v1::OpenSessionRequest request_for(const FoundCluster& cluster);
  // How far its hosts are, for its choice of one; nothing where it does not say where they are.
  void add_distances(const FoundCluster& cluster, v1::OpenSessionRequest& request);
  [[nodiscard]] Time pause_after(const CallFailure& failure);
  [[nodiscard]] SessionEvents events(const std::string& id);

  const ClusterOptions options_;
  const ClientKey key_;
  std::vector<ModuleWanted> modules_;
  PlacementSink* sink_ = nullptr;
  const function::Log* log_ = nullptr;
  Calls calls_;

  std::mutex mutex_;  // held while no session is called
  std::condition_variable changed_;
  bool started_ = false;
  bool stopping_ = false;
  std::optional<Time> network_changed_;
  std::set<std::string> gone_;    // ids of sessions
  std::set<std::string> in_use_;  // the same
  std::optional<Joined> current_;
  std::optional<Joined> next_;  // at a closer cluster, not in use yet
  Time next_until_{};

  std::map<std::string, std::string> keys_;  // the thread's: idempotency keys, by cluster
  std::uint32_t failures_ = 0;               // the thread's: one after the other
  std::thread thread_;
};

}  // namespace aloft::device
