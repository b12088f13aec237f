// How well policies decide: each plays the same traces, beside an oracle that knows the future.
//
// The traces, the costs and the oracle are models (policy/*.h say which, and where their figures
// come from); the policies and the predictor that informs them are the ones that a Runtime has.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "figures.h"
#include "policy/comparison.h"
#include "policy/generate.h"
#include "policy/plots.h"
#include "policy/recording.h"

namespace aloft::bench {
namespace {

struct Options {
  std::string json;
  std::string plots;
  std::vector<std::string> recordings;
  std::size_t frames = 6000;
  std::uint64_t seed = kReportedSeed;
};

void print_heads() {
  std::printf(
      "mean ms; (n): changes of place; cool: its part of the best frame rate below %.0f C\n\n"
      "%-14s %-8s %8s %8s %8s %17s %14s %8s %8s %8s %8s %6s\n",
      kCoolLimit, "trace", "function", "local", "remote", "every", "min_latency", "oracle",
      "/oracle", "/static", "deadline", "energy", "cool");
}

void print(const Comparison& each) {
  const PolicyResult& min_latency = each.of("min_latency");
  const PolicyResult& cool = each.of("cool");
  std::printf(
      "%-14s %-8s %8.1f %8.1f %8.1f %9.1f %7s %8.1f %5s %+7.1f%% %+7.1f%% %8.1f %8.1f %5.0f%%\n",
      each.trace.c_str(), each.function.c_str(), each.of("local").mean_ms,
      each.of("remote").mean_ms, each.of("every").mean_ms, min_latency.mean_ms,
      ("(" + std::to_string(min_latency.switches) + ")").c_str(), each.oracle_ms,
      ("(" + std::to_string(each.oracle_switches) + ")").c_str(),
      100 * (min_latency.mean_ms / each.oracle_ms - 1),
      100 * (min_latency.mean_ms / each.best_static_ms - 1), each.of("deadline").mean_ms,
      each.of("min_energy").mean_ms, 100 * cool.frames_per_second / cool.best_frames_per_second);
}

void print(const Verdict& verdict) {
  std::printf(
      "\nmin_latency: mean latency %.1f %% above the oracle's, at worst %+.1f %% beside the better "
      "static choice, %llu changes of place (the oracle: %llu)\n"
      "the oracle is 15 %% and more better than the better static choice on %zu of %zu traces\n"
      "cool: %.0f %% of the best frame rate below its limit, at least %.0f %%; %.1f K from it at "
      "the warmest where it had a choice\n",
      100 * (verdict.over_oracle - 1), 100 * (verdict.worst_over_static - 1),
      static_cast<unsigned long long>(verdict.switches),
      static_cast<unsigned long long>(verdict.oracle_switches), verdict.hard_traces, verdict.traces,
      100 * verdict.mean_cool_rate, 100 * verdict.least_cool_rate, verdict.most_over_limit_c);
}

void append(nlohmann::ordered_json& json, const Comparison& each) {
  for (const PolicyResult& one : each.policies) {
    nlohmann::ordered_json row = {
        {"trace", each.trace},          {"function", each.function},
        {"policy", one.policy},         {"mean_ms", one.mean_ms},
        {"oracle_ms", each.oracle_ms},  {"best_static_ms", each.best_static_ms},
        {"switches", one.switches},     {"oracle_switches", each.oracle_switches},
        {"p90_ms", one.p90_ms},         {"tries", one.tries},
        {"failed_at_edge", one.failed}, {"millijoules", one.millijoules}};
    if (one.policy.starts_with("deadline")) {
      row["missed"] = one.missed;
      row["unavoidably_missed"] = each.unavoidably_missed;
    }
    if (one.policy.starts_with("cool")) {
      row["frames_per_second"] = one.frames_per_second;
      row["best_frames_per_second"] = one.best_frames_per_second;
      row["limit_celsius"] = kCoolLimit;
      row["over_limit_celsius"] = one.over_limit_c;
    }
    json.push_back(std::move(row));
  }
}

void run(const Options& options) {
  std::vector<Comparison> comparisons;
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  const auto add = [&](const Trace& trace, const Workload& workload) {
    comparisons.push_back(compare(trace, workload, options.frames, options.seed));
    print(comparisons.back());
    append(json, comparisons.back());
    if (options.plots.empty()) return;
    const auto drawn = draw_timeline(trace, workload, options.frames, options.seed, options.plots);
    if (!drawn) die(drawn.error().message);
  };
  print_heads();
  for (const std::string_view scenario : scenarios()) {
    const Trace trace = generate(scenario, options.seed, seconds_of(options.frames));
    for (const Workload& workload : workloads()) add(trace, workload);
  }
  print(judge(comparisons));
  if (!options.recordings.empty()) std::printf("\nrecorded:\n");
  for (const std::string& file : options.recordings) {
    const auto recording = read_recording(file);
    if (!recording) die(recording.error().message);
    add(recording->trace, recording->workload);
  }
  if (!options.plots.empty()) {
    if (const auto drawn = draw_overview(comparisons, options.plots); !drawn)
      die(drawn.error().message);
    std::printf("\nsee %s\n", (std::filesystem::path(options.plots) / "overview.png").c_str());
  }
  write_json(options.json, json);
}

}  // namespace
}  // namespace aloft::bench

int main(int argc, char** argv) {
  aloft::bench::Options options;
  CLI::App app{
      "Plays policies through traces of Wi-Fi, LTE and 5G, and compares them with an oracle that "
      "knows the future."};
  app.add_option("--json", options.json, "write the figures there");
  app.add_option("--plots", options.plots, "folder for pictures: an overview, and one a trace");
  app.add_option(
         "--trace", options.recordings,
         "a trace that apps/detect has recorded (--record-trace), beside the generated ones")
      ->check(CLI::ExistingFile);
  app.add_option("--frames", options.frames, "of each trace and function")
      ->check(CLI::Range(std::size_t{10}, std::size_t{1'000'000}))
      ->capture_default_str();
  app.add_option("--seed", options.seed,
                 "of the generated traces; policies were tuned on those of 2 to 6")
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "error: %s (see --help)\n", error.what());
    return 2;
  }
  aloft::bench::run(options);
  return 0;
}
