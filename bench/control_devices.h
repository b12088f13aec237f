// The devices of bench/control_bench.cc: so many at a time open, renew and close sessions, and what
// each request took is kept.
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
};

// Thread rule: one thread; its requests are made by threads of its own.
class ControlDevices {
 public:
  // `at_once`: opens under way, each over a connection of its own. Renewals and closes, of which
  // nobody looks at the time, are more at a time. The cluster outlives it. Errors: internal.
  [[nodiscard]] static Result<std::unique_ptr<ControlDevices>> connect(
      const ControlCluster& cluster, std::size_t at_once);

  // Errors of all: the first request that went wrong, with what the manager said.
  [[nodiscard]] Result<Requests> open(std::size_t count);
  // Those that were opened or renewed longer ago than `age`, as devices do.
  [[nodiscard]] Result<Requests> renew(std::chrono::seconds age);
  [[nodiscard]] Result<Requests> close_all();
  [[nodiscard]] std::size_t sessions() const { return sessions_.size(); }

 private:
  using Clock = std::chrono::steady_clock;
  using Stub = ControlCluster::Stub;
  struct Session {
    std::string id;
    Stub* device = nullptr;
    Clock::time_point renewed;
  };

  ControlDevices() = default;
  // `request(device, i)` for each i below `count`, on so many threads.
  template <class Request>
  [[nodiscard]] Result<Requests> each(std::size_t count, std::size_t threads, Request request);

  std::vector<std::unique_ptr<Stub>> devices_;
  std::mutex mutex_;  // for sessions_ while they are opened
  std::vector<Session> sessions_;
};

}  // namespace aloft::bench
