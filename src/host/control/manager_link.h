// Keeps a host known to its cluster: registers at one of the managers, and sends it heartbeats;
// when it is silent, the next one. Any manager is as good as any other.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "aloft/v1/host.grpc.pb.h"
#include "rpc/certificates.h"
#include <aloft/result.h>

namespace aloft::host {

struct ManagerLinkOptions {
  std::vector<std::string> managers;         // HOST:PORT, at least one
  rpc::ClientCredentialsSource credentials;  // with other ones it connects again
  v1::RegisterHostRequest self;
  // Managers that are not believed, by the certificate (PEM) that they show.
  std::function<bool(std::string_view certificate)> is_revoked;
  std::chrono::milliseconds answer_limit{1'000};
  std::chrono::milliseconds first_interval{500};  // until a manager says how long a lease is
};

// Thread rule: any thread.
class ManagerLink {
 public:
  // `fill` puts what changes into each heartbeat, `hear` gets each answer; both on a thread of the
  // link's own, which they must not hold up.
  ManagerLink(ManagerLinkOptions options, std::function<void(v1::HeartbeatRequest&)> fill,
              std::function<void(const v1::HeartbeatResponse&)> hear);
  ~ManagerLink();  // says nothing more
  ManagerLink(const ManagerLink&) = delete;
  ManagerLink& operator=(const ManagerLink&) = delete;

  // A manager has answered, within the last lease.
  [[nodiscard]] bool known() const;
  // A heartbeat now: something has changed that cannot wait. Returns when it was answered, or after
  // `limit`.
  void hurry(std::chrono::milliseconds limit);

 private:
  void run();
  [[nodiscard]] bool beat();  // false: try another manager
  [[nodiscard]] v1::Hosts::Stub& stub();

  const ManagerLinkOptions options_;
  const std::function<void(v1::HeartbeatRequest&)> fill_;
  const std::function<void(const v1::HeartbeatResponse&)> hear_;

  // its thread only
  std::size_t at_ = 0;
  std::unique_ptr<v1::Hosts::Stub> stub_;
  std::uint64_t credentials_ = 0;  // version of those that stub_ has
  bool registered_ = false;
  std::chrono::milliseconds lease_{0};

  std::atomic<std::chrono::steady_clock::time_point> known_until_{};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false, hurry_ = false;
  std::uint64_t begun_ = 0, answered_ = 0;  // heartbeats; the last that was answered
  std::thread thread_;                      // last: it uses all of the above
};

}  // namespace aloft::host
