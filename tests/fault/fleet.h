// The devices of cluster_faults_test: processes of their own, and what their records say.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "support/cluster_in_namespaces.h"
#include "support/process.h"
#include <aloft/result.h>

namespace aloft::testing {

using FleetClock = std::chrono::steady_clock;

// One call of a device.
struct FleetCall {
  std::uint64_t number = 0;
  bool at_edge = false;
  FleetClock::time_point begun;
  FleetClock::time_point ended;
  std::string outcome;  // "ok"
};

// What a device has told so far.
struct FleetDevice {
  Process process;
  std::chrono::microseconds run{};  // that the function takes on it
  std::string host = {};            // where its session is; empty before the first
  std::uint64_t generation = 0;
  std::vector<FleetCall> frames = {};
  std::vector<FleetCall> entries = {};
  std::optional<std::string> end = {};  // "1200 ok"
};

struct FleetOptions {
  std::size_t devices = 8;
  std::uint32_t rounds = 0;  // of work in a frame
  std::chrono::milliseconds period{50};
  std::uint32_t cpu_millicores = 0;
  std::uint64_t memory_mib = 0;
};

// What the frames of some devices say of a span of time.
struct FleetStory {
  std::uint64_t frames = 0;
  std::uint64_t here = 0;                     // of them: whose result was made on the device
  std::chrono::microseconds longest_gap{};    // between two results of one device
  std::chrono::microseconds longest_frame{};  // from call to result
};

// Thread rule: one thread, the one that made it.
class Fleet {
 public:
  // Errors: what a device said that did not start.
  [[nodiscard]] static Result<Fleet> start(const ClusterInNamespaces& cluster,
                                           const FleetOptions& options);

  // Reads what they say until this is so; false after `limit`, or when one of them has ended.
  [[nodiscard]] bool wait_until(const std::function<bool()>& is_so,
                                std::chrono::milliseconds limit);
  // Reads for so long.
  void run_for(std::chrono::milliseconds time);
  // Each has had `frames` results at the edge in a row, since now.
  [[nodiscard]] bool wait_at_edge(std::size_t frames, std::chrono::milliseconds limit);

  [[nodiscard]] const std::vector<FleetDevice>& devices() const { return devices_; }
  // Indices of those whose session is at this host.
  [[nodiscard]] std::set<std::size_t> at(const std::string& host) const;
  [[nodiscard]] std::set<std::size_t> all() const;

  // Of frames whose result came after `since`.
  [[nodiscard]] FleetStory story(FleetClock::time_point since,
                                 const std::set<std::size_t>& of) const;
  // How long after `fault` the device's first result was there that it made itself, less the time
  // that its function takes: when it began at the latest. None: there is none.
  [[nodiscard]] std::optional<std::chrono::microseconds> local_start(
      std::size_t device, FleetClock::time_point fault) const;

  // Tells all to end, and judges their records: what was lost, doubled, out of order or wrong, each
  // as a line; empty: nothing.
  [[nodiscard]] std::vector<std::string> finish();
  // What the runtimes of all devices logged, for the message of a failed test.
  [[nodiscard]] std::string transcript() const;

 private:
  Fleet() = default;
  // True: there was something.
  bool read();

  std::vector<FleetDevice> devices_;
};

}  // namespace aloft::testing
