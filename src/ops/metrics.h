// What a daemon counts, as Prometheus reads it at /metrics: requests that it answered, what others
// count, and families of whole metrics that somebody makes when they are asked for.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <grpcpp/support/status_code_enum.h>
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>

namespace aloft::ops {

// Thread rule: any thread.
class Metrics {
 public:
  // All names begin with `prefix`, such as "aloft_manager".
  explicit Metrics(const std::string& prefix);

  // A request was answered. `method` is a literal.
  void answered(const char* method, grpc::StatusCode code, std::chrono::nanoseconds took);

  // What others count; read with each text().
  void count(const std::string& name, const std::string& help, std::function<double()> value);
  void gauge(const std::string& name, const std::string& help, std::function<double()> value);

  // Further families, made with each text().
  using Families = std::function<std::vector<prometheus::MetricFamily>()>;
  void families(Families make);

  // In Prometheus' text format.
  [[nodiscard]] std::string text();

 private:
  struct Read {
    prometheus::Gauge* gauge = nullptr;
    prometheus::Counter* counter = nullptr;
    std::function<double()> value;
  };

  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Histogram>& durations_;
  std::mutex mutex_;
  std::map<std::pair<std::string, int>, prometheus::Counter*> counters_;
  std::map<std::string, prometheus::Histogram*> histograms_;
  std::vector<Read> reads_;
  std::vector<Families> families_;
};

}  // namespace aloft::ops
