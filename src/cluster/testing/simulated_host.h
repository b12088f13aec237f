// A host of a cluster, for tests of managers: a real HostOffloadHandler service and a real client
// of Hosts, over mutual TLS, that runs no guests.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <grpcpp/server.h>

#include "aloft/v1/host.grpc.pb.h"
#include "base/digest.h"
#include "identity/certificate.h"
#include <aloft/result.h>

namespace aloft::cluster::testing {

struct SimulatedHostOptions {
  std::string id = "h1";
  std::vector<std::string> managers{};  // HOST:PORT
  std::uint64_t memory_bytes = std::uint64_t{1} << 30U;
  std::uint32_t cpu_millicores = 8000;
  std::vector<std::string> accelerators{};
  std::string boot = "boot-1";
  std::chrono::milliseconds heartbeat{200};
};

// Thread rule: any thread. Its certificate is issued by the authority of the cluster's folder.
class SimulatedHost final : private v1::HostOffloadHandler::Service {
 public:
  SimulatedHost(const identity::Authority& authority, SimulatedHostOptions options);
  ~SimulatedHost() override;  // as a machine that is gone: its lease ends by itself
  SimulatedHost(const SimulatedHost&) = delete;
  SimulatedHost& operator=(const SimulatedHost&) = delete;

  // The first error of a heartbeat, or nothing: it is registered.
  [[nodiscard]] Result<void> registered() const;
  void heartbeats(bool on) { beating_ = on; }
  [[nodiscard]] std::size_t beats() const { return beats_; }  // that were answered
  // What Prepare answers from now on.
  void prepare_with(std::function<grpc::Status(const v1::PrepareRequest&)> answer);
  void compiled(std::vector<std::string> digests);
  // What InspectModule answers about a digest; others have a function `f` of hash `1`.
  void inspect_with(
      std::function<grpc::Status(const v1::InspectModuleRequest&, v1::InspectModuleResponse&)>
          answer);
  // What heartbeats tell from now on of a module's calls, where managers ask for it.
  void count(v1::ModuleCounts counts);
  void load(double value) { load_ = value; }

  [[nodiscard]] std::size_t prepared() const;  // calls so far
  // The most memory that its sessions had at a time, by what it was told: a host hears of a session
  // that is closed later than of the next one.
  [[nodiscard]] std::uint64_t most_memory() const;
  [[nodiscard]] std::set<std::string> sessions()
      const;                         // "ID/GENERATION", prepared and not released
  [[nodiscard]] Digest key() const;  // of its certificate
  [[nodiscard]] std::string address() const;
  [[nodiscard]] v1::HeartbeatResponse last_answer() const;
  // Of the handler process of a tenant.
  [[nodiscard]] std::string boot_of(const std::string& tenant) const;

 private:
  grpc::Status Prepare(grpc::ServerContext* context, const v1::PrepareRequest* request,
                       v1::PrepareResponse* response) override;
  grpc::Status InspectModule(grpc::ServerContext* context, const v1::InspectModuleRequest* request,
                             v1::InspectModuleResponse* response) override;
  grpc::Status Release(grpc::ServerContext* context, const v1::ReleaseRequest* request,
                       v1::ReleaseResponse* response) override;
  void beat();
  void forget(const std::string& place);  // with the mutex held

  const SimulatedHostOptions options_;
  mutable std::mutex mutex_;
  std::function<grpc::Status(const v1::PrepareRequest&)> answer_;
  std::function<grpc::Status(const v1::InspectModuleRequest&, v1::InspectModuleResponse&)> inspect_;
  std::map<std::string, v1::ModuleCounts> counts_;  // by digest
  std::vector<std::string> compiled_;
  std::map<std::string, std::uint64_t> sessions_;  // memory, by "ID/GENERATION"
  std::string named_;                              // the last that a heartbeat told of
  std::uint64_t memory_ = 0, most_memory_ = 0;
  std::size_t prepared_ = 0;
  v1::HeartbeatResponse last_;
  Result<void> state_ = fail(Errc::unreachable, "no heartbeat yet");
  std::atomic<double> load_ = 0;
  std::atomic<bool> beating_ = true;
  std::atomic<std::size_t> beats_ = 0;
  std::condition_variable ended_;
  bool ending_ = false;
  std::string ca_, certificate_, key_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace aloft::cluster::testing
