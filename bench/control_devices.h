// The devices of bench/control_bench.cc: so many at a time open, renew and close sessions, each
// over a connection of its own, and what each request took is kept.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "control_cluster.h"
#include <aloft/result.h>

namespace aloft::bench {

// How requests went.
struct Requests {
  std::vector<double> milliseconds;  // of those that were answered well
  double seconds = 0;                // from the first to the last
  std::size_t refused = 0;           // no host has room
  [[nodiscard]] double per_second() const {
    return seconds > 0 ? static_cast<double>(milliseconds.size()) / seconds : 0;
  }
  [[nodiscard]] double quantile(double q) const;
};

// Thread rule: one thread; its requests are made by threads of its own.
class ControlDevices {
 public:
  // `at_once`: connections, and requests under way. The cluster outlives it. Errors: internal.
  [[nodiscard]] static Result<std::unique_ptr<ControlDevices>> connect(
      const ControlCluster& cluster, std::size_t at_once);

  // Errors of all: the first request that went wrong, with what the manager said.
  [[nodiscard]] Result<Requests> open(std::size_t count);
  // Those that were opened or renewed longer ago than `age`, as devices do.
  [[nodiscard]] Result<Requests> renew(std::chrono::seconds age);
  [[nodiscard]] Result<Requests> close_all();
  [[nodiscard]] std::size_t sessions() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Session {
    std::string id;
    Clock::time_point renewed;
  };
  struct Device {
    std::unique_ptr<ControlCluster::Stub> stub;
    std::vector<Session> sessions;
    std::size_t next = 0;  // of them, while they are renewed
  };

  ControlDevices() = default;
  // `request(device)`, on a thread for each device, until it answers none: nothing is left to do.
  template <class Request>
  [[nodiscard]] Result<Requests> each(Request request);

  std::vector<Device> devices_;
};

}  // namespace aloft::bench
