// The inference process's insides: clients of several tenants, the engine that they share, and what
// keeps one of them from harming the others.
//
//   sockets -> Client (checks) -> BatchQueue (whose turn) -> Runner (copies, computes) -> Engine
//
// Its thread alone reads from clients, a few packets of each in turn.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/wake_up.h"
#include "inference/service/client.h"

namespace aloft::inference::service {

struct ServiceOptions {
  int slots = 2;              // inferences at a time...
  int beyond = 32;            // ...and so many more, for tenants that have none (batch_queue.h)
  int inference_threads = 1;  // of one
  std::chrono::microseconds batch_wait{2000};
  ModelTableOptions models{};
  CrashJournal* journal = nullptr;  // borrowed
  // A line about a tenant's connection or model.
  std::function<void(const std::string& tenant, const std::string& line)> log = [](auto&&...) {};
  // A model whose inference does not end, long after nobody wanted it any more, or that is loaded
  // without end: nothing but the end of the process helps. Told once.
  std::function<void(const Digest&, const std::string&)> stuck = [](auto&&...) {};
  std::chrono::milliseconds stuck_after{2000};
  std::chrono::milliseconds load_limit{60'000};
};

// The most inferences at a time: the concurrency that its engines need.
[[nodiscard]] inline int concurrency_of(const ServiceOptions& options) {
  return options.slots + options.beyond;
}

// Thread rule: any thread.
class InferenceService {
 public:
  // `cpu`, and `accelerated` (null: there is none), for tenants that may use one.
  InferenceService(std::shared_ptr<Engine> cpu, std::shared_ptr<Engine> accelerated,
                   ServiceOptions options);
  ~InferenceService();  // all clients are dropped; waits for what runs

  void add_client(const std::string& tenant, const ClientLimits& limits, const TenantShare& share,
                  wire::Descriptor socket);
  void set_share(const std::string& tenant, const TenantShare& share);
  void forbid(const Digest& model);
  [[nodiscard]] std::size_t clients();

 private:
  void run();
  void step(std::unique_lock<std::mutex>& lock);
  void drop(Client& client, const Error& why);
  void watch();

  const std::shared_ptr<Engine> cpu_, accelerated_;
  const ServiceOptions options_;
  BatchQueue queue_;
  Runner runner_;
  ModelTable cpu_models_;
  std::unique_ptr<ModelTable> accelerated_models_;

  WakeUp wake_;
  std::mutex mutex_;
  std::list<std::unique_ptr<Client>> clients_, ending_;
  bool closing_ = false;
  int looks_ = 0;
  bool told_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace aloft::inference::service
