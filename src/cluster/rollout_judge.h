// Whether a version of a module does its work: errors and latency of its calls over a window, from
// what the hosts tell, and the limits of a rollout. Pure: time is handed in.
//
// Hosts tell sums since they were asked to count; here they become what was added between one look
// and the next, and what is older than the window is dropped.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "aloft/v1/host.pb.h"
#include "aloft/v1/offload_manager.pb.h"

namespace aloft::cluster {

// Calls by duration, as v1::ModuleCounts.latency says.
inline constexpr std::size_t kLatencyBuckets = 96;
// The longest that is counted in this one.
[[nodiscard]] std::chrono::microseconds latency_bound(std::size_t bucket);

struct CallSums {
  std::uint64_t calls = 0, failures = 0, refusals = 0;
  std::array<std::uint64_t, kLatencyBuckets> latency{};

  [[nodiscard]] static CallSums of(const v1::ModuleCounts& counts);
  void add(const CallSums& more);
  // None where `earlier` has more of anything: its source began anew.
  [[nodiscard]] std::optional<CallSums> since(const CallSums& earlier) const;
  [[nodiscard]] double error_rate() const;  // 0 without calls
  // 99 of 100 calls took no longer; none: there are too few to say.
  [[nodiscard]] std::optional<std::chrono::microseconds> p99() const;
};

// Thread rule: one thread at a time.
class RolloutJudge {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::uint64_t kLeastCalls = 20;             // for an error rate
  static constexpr std::uint64_t kLeastForP99 = 100;           // for a p99
  static constexpr std::chrono::milliseconds kWindow{60'000};  // where none is given

  // What one source has told, as of now. `known_before`: it may have been counted over a time that
  // is no business of this judge, which has just been made: only what comes from now on counts.
  enum class Source : std::uint8_t { new_to_all, known_before };
  void hear(const std::string& source, const CallSums& sums, Source kind, Clock::time_point now);
  // Sums of the window.
  [[nodiscard]] const CallSums& look(const v1::RolloutLimits& limits, Clock::time_point now);
  // Why the version has to go; none: it may stay.
  [[nodiscard]] static std::optional<std::string> verdict(const CallSums& window,
                                                          const v1::RolloutLimits& limits);

 private:
  struct Added {
    Clock::time_point at;
    CallSums sums;
  };
  std::map<std::string, CallSums> last_;  // by source
  std::deque<Added> added_;
  CallSums window_;
};

}  // namespace aloft::cluster
