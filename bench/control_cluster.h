// The cluster of bench/control_bench.cc: real aloft-manager programs on a real store, and hosts
// that speak for themselves as real ones do (heartbeats, Prepare, Release, over mutual TLS), but
// run no guests. All of it on the loopback interface; nothing of it outlives this process.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aloft/v1/offload_manager.grpc.pb.h"
#include "cluster/testing/simulated_host.h"
#include "identity/certificate.h"
#include "support/etcd.h"
#include "support/process.h"
#include "support/temp_dir.h"
#include <aloft/result.h>

namespace aloft::bench {

enum class StoreKind : std::uint8_t { embedded, etcd };
[[nodiscard]] const char* to_string(StoreKind kind);

struct ControlClusterOptions {
  StoreKind store = StoreKind::embedded;
  std::size_t managers = 1;
  std::size_t etcd_members = 1;
  std::size_t hosts = 200;
  std::size_t sessions_per_host = 100;  // and no more: that is their capacity
  std::size_t tenants = 20;
};

// What a session asks for; a host has memory for `sessions_per_host` of them.
inline constexpr std::uint64_t kSessionMemory = std::uint64_t{16} << 20U;

// Without a renewal. Longer than usual: a machine that is busy with something else is not to lose
// sessions that are only closed late.
inline constexpr std::chrono::seconds kSessionLives{180};

// What processes use, together.
struct Usage {
  std::uint64_t memory_bytes = 0;  // resident, as the kernel has it
  std::chrono::microseconds cpu{0};
};

// Thread rule: one thread, but for devices.
class ControlCluster {
 public:
  // Returns when all hosts are registered. Errors: what did not start, with what it said.
  [[nodiscard]] static Result<std::unique_ptr<ControlCluster>> start(
      const ControlClusterOptions& options);

  using Stub = v1::OffloadManager::Stub;
  // A connection of its own, as a device has, of tenant `index` modulo tenants at manager `index`
  // modulo managers.
  [[nodiscard]] Result<std::unique_ptr<Stub>> device(std::size_t index) const;
  // One that may list.
  [[nodiscard]] Result<std::unique_ptr<Stub>> operator_() const;

  [[nodiscard]] Usage managers() const;
  [[nodiscard]] Usage store() const;  // etcd; embedded: nothing, it is in the manager
  // A sum of all managers' metrics of this name.
  [[nodiscard]] double metric(const std::string& name) const;

  // From now on hosts report a load that goes with their sessions.
  void report_load();
  // Hosts that were given more than they have; of use while nothing was closed.
  [[nodiscard]] std::size_t overfilled() const;
  [[nodiscard]] std::size_t capacity() const { return options_.hosts * options_.sessions_per_host; }

  // Ends the managers, and counts what is left in the store, by kind of record ("sessions": 3).
  [[nodiscard]] Result<std::map<std::string, std::size_t>> end();
  [[nodiscard]] std::string transcript() const;  // what the managers said

 private:
  struct Manager {
    testing::Process process;
    std::string address;
    std::string ops;  // port
  };

  explicit ControlCluster(ControlClusterOptions options) : options_(std::move(options)) {}
  [[nodiscard]] Result<void> make();
  [[nodiscard]] Result<void> start_manager(std::size_t index);
  [[nodiscard]] Result<void> start_hosts();
  [[nodiscard]] Result<std::unique_ptr<Stub>> connect(const identity::Identity& who,
                                                      std::size_t manager) const;

  const ControlClusterOptions options_;
  const testing::TempDir folder_;
  std::unique_ptr<identity::Authority> authority_;
  std::optional<testing::EtcdCluster> etcd_;
  std::vector<Manager> managers_;
  std::vector<std::unique_ptr<cluster::testing::SimulatedHost>> hosts_;
};

}  // namespace aloft::bench
