// All policies over one trace and one function, beside the oracle and the better static choice: a
// few lines of the table that `./dev bench policy` prints.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "conditions.h"
#include "oracle.h"
#include "play.h"
#include "world.h"

namespace aloft::bench {

// The three functions: a pose from a few features, a small network on a small picture, and
// detect_object of apps/detect on a JPEG of 1280x720 on a device that is held to a third of a core.
[[nodiscard]] std::span<const Workload> workloads();

// What is reported plays this seed's traces; policies were tuned on those of the seeds 2 to 6.
inline constexpr std::uint64_t kReportedSeed = 2029;
// How long a trace has to be for so many frames of any of the functions.
[[nodiscard]] double seconds_of(std::size_t frames);

// Where `cool` is asked to stay below. A device that computes all the time ends at 67 degrees.
inline constexpr double kCoolLimit = 60;
// What `deadline` is asked for.
[[nodiscard]] double deadline_ms(const Workload& workload);

struct PolicyResult {
  std::string policy;  // as policy_by_name() takes it
  double mean_ms = 0;
  double p90_ms = 0;
  std::uint64_t switches = 0;
  std::uint64_t tries = 0;
  std::uint64_t failed = 0;
  double millijoules = 0;             // a frame
  double missed = 0;                  // part of the frames that took longer than deadline_ms()
  double frames_per_second = 0;       // `cool` alone, which plays without pauses
  double best_frames_per_second = 0;  // `cool` alone: best_rate_below()
  double over_limit_c = 0;  // `cool` alone: the most, at frames run here while the edge was ready
};

struct Comparison {
  std::string trace;
  std::string function;
  double oracle_ms = 0;
  std::uint64_t oracle_switches = 0;
  double best_static_ms = 0;
  double unavoidably_missed = 0;  // part of the frames that no place would do within deadline_ms()
  std::vector<PolicyResult> policies{};

  [[nodiscard]] const PolicyResult& of(std::string_view policy) const;  // by its name's beginning
};

// `seed`: of how single calls scatter.
[[nodiscard]] Comparison compare(const Trace& trace, const Workload& workload, std::size_t frames,
                                 std::uint64_t seed);
[[nodiscard]] World make_world(const Trace& trace, const Workload& workload, std::size_t frames,
                               std::uint64_t seed);

// What the whole table comes to.
struct Verdict {
  double over_oracle = 0;        // min_latency: mean of mean_ms / oracle_ms
  double worst_over_static = 0;  // min_latency: the largest mean_ms / best_static_ms
  std::uint64_t switches = 0;    // min_latency
  std::uint64_t oracle_switches = 0;
  std::size_t traces = 0;
  std::size_t hard_traces = 0;  // where the oracle is 15 % better than the better static choice,
                                // as the mean over its functions
  double mean_cool_rate = 0;    // cool: mean of frames_per_second / best_frames_per_second
  double least_cool_rate = 0;   // the least of them
  double most_over_limit_c = 0;
};
[[nodiscard]] Verdict judge(std::span<const Comparison> comparisons);

}  // namespace aloft::bench
