// A cluster for tests: a folder of credentials, a store, as many managers on it as wanted, and
// clients of theirs. On the embedded store the managers share it; on etcd each has a connection of
// its own, as in processes of their own.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <grpcpp/channel.h>

#include "aloft/v1/offload_manager.grpc.pb.h"
#include "cluster/manager.h"
#include "cluster/store.h"
#include "cluster/testing/simulated_host.h"
#include "identity/certificate.h"
#include "support/etcd.h"
#include "support/eventually.h"
#include "support/temp_dir.h"

namespace aloft::cluster::testing {

// Generous: a sanitizer's build on busy processors is far slower.
inline constexpr std::chrono::seconds kPatience{40};
// Whether it became true in time.
[[nodiscard]] inline bool eventually(const std::function<bool()>& condition) {
  return aloft::testing::eventually(kPatience, condition);
}

enum class StoreKind : std::uint8_t { embedded, etcd };

class Cluster {
 public:
  // `tenants`: the tenants file. `tune` changes the options of each manager.
  explicit Cluster(const std::string& tenants, std::function<void(ManagerOptions&)> tune = nullptr,
                   int managers = 1, StoreKind kind = StoreKind::embedded);

  [[nodiscard]] Manager& manager(std::size_t index = 0) { return *managers_.at(index); }
  void stop_manager(std::size_t index) { managers_.at(index).reset(); }
  void start_manager(std::size_t index);
  [[nodiscard]] Store& store() { return *store_; }
  [[nodiscard]] const identity::Authority& authority() const { return *authority_; }
  [[nodiscard]] std::filesystem::path folder() const { return credentials_; }
  [[nodiscard]] std::string address(std::size_t index = 0) const;
  [[nodiscard]] std::vector<std::string> addresses() const;

  // Registered when it returns.
  std::unique_ptr<SimulatedHost> host(SimulatedHostOptions options);
  using Client = std::unique_ptr<v1::OffloadManager::Stub>;
  [[nodiscard]] Client tenant(const std::string& name, std::size_t manager = 0);
  [[nodiscard]] Client operator_(std::size_t manager = 0);
  [[nodiscard]] Client as(const identity::Identity& identity, std::size_t manager = 0);
  // Without a certificate.
  [[nodiscard]] Client nobody(std::size_t manager = 0);

 private:
  const aloft::testing::TempDir folder_;
  std::filesystem::path credentials_;
  std::function<void(ManagerOptions&)> tune_;
  std::unique_ptr<identity::Authority> authority_;
  std::optional<aloft::testing::EtcdCluster> etcd_;
  std::unique_ptr<Store> store_;
  std::vector<std::unique_ptr<Store>> stores_;  // of the managers; empty: they share one
  std::vector<std::uint16_t> ports_;
  std::vector<std::unique_ptr<Manager>> managers_;
};

// A tenant that nothing keeps from opening sessions, as a part of a tenants file.
[[nodiscard]] std::string roomy_tenant(const std::string& name);
// A request that is fine; `key` is the idempotency key.
[[nodiscard]] v1::OpenSessionRequest open_request(const std::string& key = {});
// A call, with a deadline.
template <class Request, class Response>
grpc::Status call(v1::OffloadManager::Stub& stub,
                  grpc::Status (v1::OffloadManager::Stub::*method)(grpc::ClientContext*,
                                                                   const Request&, Response*),
                  const Request& request, Response& response) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  return (stub.*method)(&context, request, &response);
}

}  // namespace aloft::cluster::testing
