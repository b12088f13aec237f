// What became of the calls of each module, for whoever judges a version of it: how many there were,
// how many failed through the module's own doing, and how long they took.
//
// Counted where calls end, without a lock; taken away in parts, for sums that are kept elsewhere
// (the daemon of a host outlives the processes that count).
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/digest.h"
#include <aloft/result.h>

namespace aloft::host {

// As v1::ModuleCounts.latency has them: a quarter of an octave each, from 16 us on.
inline constexpr std::size_t kLatencyBuckets = 96;
[[nodiscard]] std::size_t latency_bucket(std::chrono::nanoseconds took);

struct CountedCalls {
  Digest module;
  std::uint64_t calls = 0, failures = 0, refusals = 0;
  std::array<std::uint64_t, kLatencyBuckets> latency{};

  [[nodiscard]] bool empty() const { return calls == 0 && refusals == 0; }
  void add(const CountedCalls& more);
};

// Whether an error is the module's own doing, and not its caller's or this machine's.
[[nodiscard]] bool is_own_doing(Errc code);

// Of one module. Thread rule: any thread.
class ModuleCounter {
 public:
  // A call has ended. None: well.
  void called(std::optional<Errc> error, std::chrono::nanoseconds took);
  // It could not be opened.
  void refused(Errc why);

 private:
  friend class CallCounts;
  std::atomic<std::uint64_t> calls_ = 0, failures_ = 0, refusals_ = 0;
  std::array<std::atomic<std::uint64_t>, kLatencyBuckets> latency_{};
};

// Of all modules of a process. Thread rule: any thread.
class CallCounts {
 public:
  // Lives as long as anybody has it. Null: there are too many, and this one is not counted.
  [[nodiscard]] std::shared_ptr<ModuleCounter> of(const Digest& module);
  // What came since; those without anything are left out.
  [[nodiscard]] std::vector<CountedCalls> take();
  // What was taken, and did not arrive.
  void give_back(const CountedCalls& counted);

  static constexpr std::size_t kMaxModules = 1024;

 private:
  std::mutex mutex_;
  std::map<Digest, std::shared_ptr<ModuleCounter>> counters_;
};

}  // namespace aloft::host
