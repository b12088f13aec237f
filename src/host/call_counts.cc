#include "host/call_counts.h"

#include <algorithm>
#include <cmath>

namespace aloft::host {

std::size_t latency_bucket(std::chrono::nanoseconds took) {
  const double octaves = std::log2(static_cast<double>(took.count()) / 16'000);
  if (!(octaves > 0)) return 0;
  return std::min(static_cast<std::size_t>(std::ceil(octaves * 4)), kLatencyBuckets - 1);
}

void CountedCalls::add(const CountedCalls& more) {
  calls += more.calls;
  failures += more.failures;
  refusals += more.refusals;
  for (std::size_t i = 0; i < kLatencyBuckets; ++i) latency[i] += more.latency[i];
}

bool is_own_doing(Errc code) {
  switch (code) {
    case Errc::trapped:
    case Errc::protocol:
    case Errc::deadline_exceeded:
    case Errc::resource_exhausted:
    case Errc::signature_mismatch:
    case Errc::corrupt:
    case Errc::not_found:
    case Errc::internal: return true;
    default: return false;
  }
}

void ModuleCounter::called(std::optional<Errc> error, std::chrono::nanoseconds took) {
  constexpr auto kOrder = std::memory_order_relaxed;
  // What its caller gave up says nothing of it.
  if (error && !is_own_doing(*error)) return;
  calls_.fetch_add(1, kOrder);
  if (error) failures_.fetch_add(1, kOrder);
  latency_[latency_bucket(took)].fetch_add(1, kOrder);
}

void ModuleCounter::refused(Errc why) {
  if (is_own_doing(why)) refusals_.fetch_add(1, std::memory_order_relaxed);
}

std::shared_ptr<ModuleCounter> CallCounts::of(const Digest& module) {
  const std::lock_guard lock(mutex_);
  if (const auto known = counters_.find(module); known != counters_.end()) return known->second;
  if (counters_.size() >= kMaxModules) return nullptr;
  return counters_.emplace(module, std::make_shared<ModuleCounter>()).first->second;
}

std::vector<CountedCalls> CallCounts::take() {
  std::vector<CountedCalls> all;
  const std::lock_guard lock(mutex_);
  for (auto at = counters_.begin(); at != counters_.end();) {
    ModuleCounter& counter = *at->second;
    // Nobody has it, so nothing more comes after this.
    const bool unused = at->second.use_count() == 1;
    CountedCalls counted{.module = at->first,
                         .calls = counter.calls_.exchange(0),
                         .failures = counter.failures_.exchange(0),
                         .refusals = counter.refusals_.exchange(0)};
    for (std::size_t i = 0; i < kLatencyBuckets; ++i)
      counted.latency[i] = counter.latency_[i].exchange(0);
    // A call that ends right now is counted in part: the rest comes with the next.
    counted.failures = std::min(counted.failures, counted.calls);
    if (!counted.empty()) all.push_back(counted);
    at = unused ? counters_.erase(at) : std::next(at);
  }
  return all;
}

void CallCounts::give_back(const CountedCalls& counted) {
  const auto counter = of(counted.module);
  if (counter == nullptr) return;
  counter->calls_ += counted.calls;
  counter->failures_ += counted.failures;
  counter->refusals_ += counted.refusals;
  for (std::size_t i = 0; i < kLatencyBuckets; ++i) counter->latency_[i] += counted.latency[i];
}

}  // namespace aloft::host
