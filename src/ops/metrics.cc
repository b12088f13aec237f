#include "ops/metrics.h"

#include <array>
#include <iterator>
#include <utility>

#include <prometheus/text_serializer.h>

namespace aloft::ops {
namespace {

constexpr std::array<const char*, 17> kCodes{
    "ok",        "cancelled",      "unknown",           "invalid_argument",   "deadline_exceeded",
    "not_found", "already_exists", "permission_denied", "resource_exhausted", "failed_precondition",
    "aborted",   "out_of_range",   "unimplemented",     "internal",           "unavailable",
    "data_loss", "unauthenticated"};

const char* name_of(grpc::StatusCode code) {
  const auto index = static_cast<std::size_t>(code);
  return index < kCodes.size() ? kCodes[index] : "unknown";
}

// Seconds; from an answer out of memory to one that waited for a module to be compiled.
prometheus::Histogram::BucketBoundaries buckets() {
  return {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
}

}  // namespace

Metrics::Metrics(const std::string& prefix)
    : requests_(prometheus::BuildCounter()
                    .Name(prefix + "_requests_total")
                    .Help("Requests that were answered, by method and gRPC code")
                    .Register(registry_)),
      durations_(prometheus::BuildHistogram()
                     .Name(prefix + "_request_duration_seconds")
                     .Help("How long an answer took, by method")
                     .Register(registry_)) {}

void Metrics::answered(const char* method, grpc::StatusCode code, std::chrono::nanoseconds took) {
  prometheus::Counter* counter = nullptr;
  prometheus::Histogram* histogram = nullptr;
  {
    const std::scoped_lock lock(mutex_);
    auto& known = counters_[{method, static_cast<int>(code)}];
    if (known == nullptr) known = &requests_.Add({{"method", method}, {"code", name_of(code)}});
    counter = known;
    auto& duration = histograms_[method];
    if (duration == nullptr) duration = &durations_.Add({{"method", method}}, buckets());
    histogram = duration;
  }
  counter->Increment();
  histogram->Observe(std::chrono::duration<double>(took).count());
}

void Metrics::count(const std::string& name, const std::string& help,
                    std::function<double()> value) {
  auto& counter = prometheus::BuildCounter().Name(name).Help(help).Register(registry_).Add({});
  const std::scoped_lock lock(mutex_);
  reads_.push_back({.counter = &counter, .value = std::move(value)});
}

void Metrics::gauge(const std::string& name, const std::string& help,
                    std::function<double()> value) {
  auto& gauge = prometheus::BuildGauge().Name(name).Help(help).Register(registry_).Add({});
  const std::scoped_lock lock(mutex_);
  reads_.push_back({.gauge = &gauge, .value = std::move(value)});
}

void Metrics::families(Families make) {
  const std::scoped_lock lock(mutex_);
  families_.push_back(std::move(make));
}

std::string Metrics::text() {
  std::vector<Families> others;
  {
    const std::scoped_lock lock(mutex_);
    others = families_;
    for (const Read& read : reads_) {
      const double now = read.value();
      if (read.gauge != nullptr) read.gauge->Set(now);
      if (read.counter != nullptr && now > read.counter->Value()) {
        read.counter->Increment(now - read.counter->Value());
      }
    }
  }
  auto all = registry_.Collect();
  for (const Families& make : others) {
    auto made = make();
    all.insert(all.end(), std::make_move_iterator(made.begin()),
               std::make_move_iterator(made.end()));
  }
  return prometheus::TextSerializer().Serialize(all);
}

}  // namespace aloft::ops
