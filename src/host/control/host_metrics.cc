#include "host/control/host_metrics.h"

#include <cstdint>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <prometheus/metric_family.h>
#include <unistd.h>

namespace aloft::host {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<std::pair<std::string, std::string>>;

ClientMetric labelled(const Labels& labels) {
  ClientMetric metric;
  for (const auto& [name, value] : labels) metric.label.push_back({name, value});
  return metric;
}

MetricFamily family(std::string name, std::string help, MetricType type) {
  MetricFamily family;
  family.name = "aloft_host_" + std::move(name);
  family.help = std::move(help);
  family.type = type;
  return family;
}

void add_gauge(MetricFamily& to, const Labels& labels, double value) {
  ClientMetric metric = labelled(labels);
  metric.gauge.value = value;
  to.metric.push_back(std::move(metric));
}

void add_counter(MetricFamily& to, const Labels& labels, double value) {
  ClientMetric metric = labelled(labels);
  metric.counter.value = value;
  to.metric.push_back(std::move(metric));
}

void add_histogram(MetricFamily& to, const Labels& labels, const CallTimes& counts) {
  ClientMetric metric = labelled(labels);
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < CallTimes::kBuckets; ++i) {
    below += counts.buckets[i];
    const double bound = i < CallTimes::kBounds.size()
                             ? std::chrono::duration<double>(CallTimes::kBounds[i]).count()
                             : std::numeric_limits<double>::infinity();
    metric.histogram.bucket.push_back({below, bound});
  }
  metric.histogram.sample_count = below;
  metric.histogram.sample_sum = static_cast<double>(counts.micros) / 1e6;
  to.metric.push_back(std::move(metric));
}

struct ProcessUse {
  double memory_bytes = 0, cpu_seconds = 0;
};

// None: it has ended meanwhile.
std::optional<ProcessUse> use_of(pid_t process) {
  const std::string folder = "/proc/" + std::to_string(process);
  std::uint64_t all = 0;
  std::uint64_t resident = 0;
  if (!(std::ifstream(folder + "/statm") >> all >> resident)) return std::nullopt;
  std::string line;
  std::getline(std::ifstream(folder + "/stat"), line);
  // The name, in parentheses, may have anything in it; the times are the 12th and 13th field after.
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(name_end + 1));
  std::string field;
  constexpr int kBefore = 11;
  for (int i = 0; i < kBefore; ++i) fields >> field;
  std::uint64_t user = 0;
  std::uint64_t system = 0;
  if (!(fields >> user >> system)) return std::nullopt;
  return ProcessUse{
      static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)),
      static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK))};
}

std::vector<MetricFamily> tenants_of(OffloadHandler& handler) {
  auto sessions =
      family("tenant_sessions", "Sessions of a tenant that are placed here", MetricType::Gauge);
  auto running =
      family("tenant_process_up", "1: the tenant's Execution Handler serves", MetricType::Gauge);
  auto starts =
      family("tenant_process_starts_total",
             "Processes that were started for a tenant, the first included", MetricType::Counter);
  auto memory = family("tenant_process_resident_memory_bytes",
                       "Memory of the tenant's Execution Handler", MetricType::Gauge);
  auto cpu = family("tenant_process_cpu_seconds_total",
                    "Processor time of the tenant's Execution Handler", MetricType::Counter);
  for (const auto& tenant : handler.tenants_use()) {
    const Labels labels{{"tenant", tenant.tenant}};
    add_gauge(sessions, labels, static_cast<double>(tenant.sessions));
    add_gauge(running, labels, tenant.process > 0 ? 1 : 0);
    add_counter(starts, labels, static_cast<double>(tenant.starts));
    const auto use = tenant.process > 0 ? use_of(tenant.process) : std::nullopt;
    if (!use) continue;
    add_gauge(memory, labels, use->memory_bytes);
    add_counter(cpu, labels, use->cpu_seconds);
  }
  return {sessions, running, starts, memory, cpu};
}

std::vector<MetricFamily> calls_of(OffloadHandler& handler) {
  auto durations = family("call_duration_seconds",
                          "Calls into a module, from the arrival of the arguments to the answer",
                          MetricType::Histogram);
  auto errors =
      family("call_errors_total", "Calls that were answered with an error", MetricType::Counter);
  auto quantiles =
      family("recent_call_duration_seconds",
             "Half, or 99 of 100, of the calls of the last minute or two took no longer",
             MetricType::Gauge);
  for (const auto& row : handler.calls().rows()) {
    Labels labels{{"tenant", row.tenant}, {"module", row.module}, {"digest", row.digest}};
    add_histogram(durations, labels, row.all);
    add_counter(errors, labels, static_cast<double>(row.all.errors));
    if (row.recent.calls() == 0) continue;
    for (const auto& [name, share] : {std::pair{"0.5", 0.5}, std::pair{"0.99", 0.99}}) {
      Labels with = labels;
      with.emplace_back("quantile", name);
      add_gauge(quantiles, with, std::chrono::duration<double>(row.recent.quantile(share)).count());
    }
  }
  return {durations, errors, quantiles};
}

std::vector<MetricFamily> compiler_of(OffloadHandler& handler) {
  const auto use = handler.modules_use();
  auto hits = family("compile_cache_hits_total", "Modules that were wanted and compiled already",
                     MetricType::Counter);
  add_counter(hits, {}, static_cast<double>(use.found));
  auto fetched =
      family("modules_fetched_total", "Modules that came from the repository", MetricType::Counter);
  add_counter(fetched, {}, static_cast<double>(use.fetched));
  auto failures = family("compile_failures_total", "Compilations that failed", MetricType::Counter);
  add_counter(failures, {}, static_cast<double>(use.compilations.errors));
  auto durations = family("compile_duration_seconds", "Compilations: misses of the cache",
                          MetricType::Histogram);
  add_histogram(durations, {}, use.compilations);
  return {hits, fetched, failures, durations};
}

}  // namespace

void add_host_metrics(ops::Metrics& metrics, OffloadHandler& handler, HostState state) {
  metrics.gauge("aloft_host_known", "1: a manager has answered within the last lease",
                [known = std::move(state.known)] { return known() ? 1.0 : 0.0; });
  metrics.gauge("aloft_host_draining", "1: the host ends, and takes no sessions",
                [draining = std::move(state.draining)] { return draining() ? 1.0 : 0.0; });
  metrics.gauge("aloft_host_sessions", "Sessions that are placed here",
                [&handler] { return static_cast<double>(handler.sessions()); });
  for (const auto make : {tenants_of, calls_of, compiler_of})
    metrics.families([&handler, make] { return make(handler); });
}

}  // namespace aloft::host
