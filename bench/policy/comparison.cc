#include "comparison.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <utility>

#include "chance.h"

namespace aloft::bench {
namespace {

PolicyResult played(const std::string& name, const World& world, const DevicePower& power) {
  const auto policy = policy_by_name(name);
  const bool cool = name.starts_with("cool");
  const Played run = play(
      **policy, world,
      {.power = power, .pace = cool ? PlayOptions::Pace::at_once : PlayOptions::Pace::of_workload});
  PolicyResult result{.policy = name,
                      .mean_ms = run.mean_ms,
                      .p90_ms = run.p90_ms,
                      .switches = run.switches,
                      .tries = run.tries,
                      .failed = run.failed,
                      .millijoules = run.millijoules};
  const double limit_ms = deadline_ms(world.workload());
  const auto late = std::ranges::count_if(
      run.frames, [&](const FramePlayed& each) { return each.latency_ms > limit_ms; });
  result.missed = static_cast<double>(late) / static_cast<double>(run.frames.size());
  if (cool) {
    result.frames_per_second = static_cast<double>(run.frames.size()) / run.seconds;
    result.best_frames_per_second = best_rate_below(world, power, kCoolLimit);
    result.over_limit_c = -std::numeric_limits<double>::infinity();
    for (const FramePlayed& each : run.frames) {
      if (each.place == Place::here && each.ready && each.decided == Place::here)
        result.over_limit_c = std::max(result.over_limit_c, each.celsius - kCoolLimit);
    }
  }
  return result;
}

std::string number(double value) { return std::to_string(static_cast<int>(value)); }

}  // namespace

std::span<const Workload> workloads() {
  static const std::array<Workload, 3> all{Workload{.name = "light",
                                                    .input_bytes = 4'000,
                                                    .reply_bytes = 200,
                                                    .here_ms = 12,
                                                    .edge_ms = 3,
                                                    .pace_ms = 50},
                                           Workload{.name = "medium",
                                                    .input_bytes = 40'000,
                                                    .reply_bytes = 500,
                                                    .here_ms = 70,
                                                    .edge_ms = 12,
                                                    .pace_ms = 100},
                                           Workload{.name = "heavy",
                                                    .input_bytes = 111'000,
                                                    .reply_bytes = 1'000,
                                                    .here_ms = 350,
                                                    .edge_ms = 40,
                                                    .pace_ms = 400}};
  return all;
}

double seconds_of(std::size_t frames) {
  double longest_ms = 0;
  for (const Workload& each : workloads()) longest_ms = std::max(longest_ms, each.pace_ms);
  return static_cast<double>(frames) * longest_ms / 1e3;
}

double deadline_ms(const Workload& workload) { return 1.2 * workload.here_ms; }

World make_world(const Trace& trace, const Workload& workload, std::size_t frames,
                 std::uint64_t seed) {
  return World(trace, workload, frames,
               sim::mix(seed) ^ static_cast<std::uint64_t>(workload.input_bytes));
}

const PolicyResult& Comparison::of(std::string_view policy) const {
  return *std::ranges::find_if(
      policies, [&](const PolicyResult& each) { return each.policy.starts_with(policy); });
}

Comparison compare(const Trace& trace, const Workload& workload, std::size_t frames,
                   std::uint64_t seed) {
  const World world = make_world(trace, workload, frames, seed);
  const DevicePower& power = trace.name.starts_with("wifi") ? kOnWifi : kOnMobile;
  const Plan oracle = best_latency(world);
  Comparison made{.trace = trace.name,
                  .function = workload.name,
                  .oracle_ms = oracle.mean_ms,
                  .oracle_switches = oracle.switches};
  const std::array<std::string, 7> names{"local",
                                         "remote",
                                         "every:50",
                                         "min_latency",
                                         "deadline:" + number(deadline_ms(workload)),
                                         "cool:" + number(kCoolLimit),
                                         "min_energy"};
  // Without pauses, frames follow each other about as fast as they run here.
  Workload without_pauses = workload;
  without_pauses.pace_ms = workload.here_ms;
  const World at_once = make_world(trace, without_pauses, frames, seed);
  for (const std::string& name : names)
    made.policies.push_back(played(name, name.starts_with("cool") ? at_once : world, power));
  made.best_static_ms = std::min(made.policies[0].mean_ms, made.policies[1].mean_ms);
  const double limit_ms = deadline_ms(workload);
  for (std::size_t i = 0; i < world.size(); ++i) {
    if (world.here_ms(i) > limit_ms && world.edge(i, 0).latency_ms > limit_ms)
      made.unavoidably_missed += 1.0 / static_cast<double>(world.size());
  }
  return made;
}

Verdict judge(std::span<const Comparison> comparisons) {
  Verdict verdict{.least_cool_rate = std::numeric_limits<double>::infinity(),
                  .most_over_limit_c = -std::numeric_limits<double>::infinity()};
  std::map<std::string, std::vector<double>> gains;  // by trace: of its functions
  for (const Comparison& each : comparisons) {
    const PolicyResult& min_latency = each.of("min_latency");
    verdict.over_oracle +=
        min_latency.mean_ms / each.oracle_ms / static_cast<double>(comparisons.size());
    verdict.worst_over_static =
        std::max(verdict.worst_over_static, min_latency.mean_ms / each.best_static_ms);
    verdict.switches += min_latency.switches;
    verdict.oracle_switches += each.oracle_switches;
    gains[each.trace].push_back(each.best_static_ms / each.oracle_ms);
    const PolicyResult& cool = each.of("cool");
    const double rate = cool.frames_per_second / cool.best_frames_per_second;
    verdict.mean_cool_rate += rate / static_cast<double>(comparisons.size());
    verdict.least_cool_rate = std::min(verdict.least_cool_rate, rate);
    verdict.most_over_limit_c = std::max(verdict.most_over_limit_c, cool.over_limit_c);
  }
  verdict.traces = gains.size();
  for (const auto& [trace, each] : gains) {
    double sum = 0;
    for (const double gain : each) sum += gain;
    verdict.hard_traces += sum / static_cast<double>(each.size()) >= 1.15 ? 1U : 0U;
  }
  return verdict;
}

}  // namespace aloft::bench
