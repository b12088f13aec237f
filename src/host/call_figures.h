// How many calls of each module an Execution Handler ran, how many failed, and how long they took:
// counted where the calls run, without a lock, and read now and then for those who operate the
// host.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"

namespace aloft::host {

// Counts of one module, between two readings or since a start.
struct CallTimes {
  // Upper bounds of the buckets; one more is above them all.
  static constexpr std::array<std::chrono::microseconds, 20> kBounds{
      std::chrono::microseconds{50},        std::chrono::microseconds{100},
      std::chrono::microseconds{250},       std::chrono::microseconds{500},
      std::chrono::microseconds{1'000},     std::chrono::microseconds{2'000},
      std::chrono::microseconds{3'500},     std::chrono::microseconds{5'000},
      std::chrono::microseconds{7'500},     std::chrono::microseconds{10'000},
      std::chrono::microseconds{20'000},    std::chrono::microseconds{35'000},
      std::chrono::microseconds{50'000},    std::chrono::microseconds{75'000},
      std::chrono::microseconds{100'000},   std::chrono::microseconds{250'000},
      std::chrono::microseconds{500'000},   std::chrono::microseconds{1'000'000},
      std::chrono::microseconds{2'500'000}, std::chrono::microseconds{10'000'000}};
  static constexpr std::size_t kBuckets = kBounds.size() + 1;

  std::uint64_t errors = 0;
  std::uint64_t micros = 0;  // of all calls together
  std::array<std::uint64_t, kBuckets> buckets{};

  void add(const CallTimes& other);
  [[nodiscard]] std::uint64_t calls() const;
  // The time that a share `quantile` of the calls did not take longer than, between the bounds of
  // its bucket as if calls were spread evenly there; 0 without calls.
  [[nodiscard]] std::chrono::microseconds quantile(double quantile) const;
};

enum class CallOutcome : std::uint8_t { done, failed };

// Of one module. Thread rule: any thread; note() neither locks nor allocates.
class CallCounter {
 public:
  void note(std::chrono::nanoseconds took, CallOutcome outcome);
  // What was noted since the last take().
  [[nodiscard]] CallTimes take();

 private:
  std::atomic<std::uint64_t> errors_ = 0, micros_ = 0;
  std::array<std::atomic<std::uint64_t>, CallTimes::kBuckets> buckets_{};
};

// Thread rule: any thread.
class CallFigures {
 public:
  // More than this many modules are counted as one, "other".
  explicit CallFigures(std::size_t most = 64) : most_(most) {}

  // Counts for this module, as long as it is held.
  [[nodiscard]] std::shared_ptr<CallCounter> of(const std::string& module, const Digest& digest);

  struct Module {
    std::string name, digest;  // hex; empty with "other"
    CallTimes counts;
  };
  // What was noted since the last take(), without those of which nothing was.
  [[nodiscard]] std::vector<Module> take();

 private:
  const std::size_t most_;
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<CallCounter>> counters_;
};

}  // namespace aloft::host
