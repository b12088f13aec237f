// A manager: all of its parts, wired, listening. What bin/aloft-manager starts, and `aloft up`.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "cluster/host_clients.h"
#include "cluster/resource_manager.h"
#include "cluster/store.h"
#include "identity/ticket.h"
#include <aloft/result.h>

namespace aloft::cluster {

struct ManagerOptions {
  std::string name;  // this one from the others
  std::string listen = "127.0.0.1:7400";
  std::string ops_listen;  // of /metrics, /healthz, /readyz; empty: none
  // With ca.pem, manager.pem, manager.key, ticket.key (identity/cluster_folder.h).
  std::filesystem::path credentials;
  bool announce = false;          // by multicast DNS-SD, through Avahi
  std::filesystem::path tenants;  // empty: tenants.toml in `credentials`

  Preference preference = Preference::spread;
  std::chrono::milliseconds session_lives{60'000};  // without a renewal
  std::chrono::milliseconds leaving{10'000};        // reserved at the former host after a move
  std::chrono::milliseconds ticket_lives{120'000};
  std::chrono::seconds host_lease{3};
  HostCallLimits host_calls;
  std::uint64_t default_memory_bytes = std::uint64_t{64} << 20U;
  std::uint32_t default_cpu_millicores = 100;
  bool rebalance = false;  // live sessions move from loaded hosts to idle ones
};

// Thread rule: one thread.
class Manager {
 public:
  // Serves when it returns. The store outlives it. Errors: of files that cannot be read (they name
  // the file), of an address that cannot be listened on, of a store that cannot be reached.
  [[nodiscard]] static Result<std::unique_ptr<Manager>> start(Store& store, ManagerOptions options);
  // stop(), where that has not been called.
  ~Manager();
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  // Reads certificates and tenants again now; both are watched as well. What is not good is logged,
  // and changes nothing.
  void reload();
  // Takes no more requests, ends those under way within `limit`, and gives up its lease.
  void stop(std::chrono::milliseconds limit);

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::uint16_t ops_port() const;  // 0: none
  [[nodiscard]] const std::string& cluster() const;
  [[nodiscard]] identity::ClusterTime now() const;

 private:
  struct Impl;
  explicit Manager(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aloft::cluster
