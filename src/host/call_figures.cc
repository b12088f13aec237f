#include "host/call_figures.h"

#include <algorithm>
#include <numeric>

namespace aloft::host {

using std::chrono::microseconds;

void CallTimes::add(const CallTimes& other) {
  errors += other.errors;
  micros += other.micros;
  for (std::size_t i = 0; i < kBuckets; ++i) buckets[i] += other.buckets[i];
}

std::uint64_t CallTimes::calls() const {
  return std::accumulate(buckets.begin(), buckets.end(), std::uint64_t{0});
}

microseconds CallTimes::quantile(double quantile) const {
  const std::uint64_t all = calls();
  if (all == 0) return microseconds{0};
  const double wanted = std::clamp(quantile, 0.0, 1.0) * static_cast<double>(all);
  double before = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    const auto here = static_cast<double>(buckets[i]);
    if (here > 0 && before + here >= wanted) {
      const microseconds from = i == 0 ? microseconds{0} : kBounds[i - 1];
      if (i == kBounds.size()) return from;  // above the last bound nothing is known
      const double share = (wanted - before) / here;
      return from + microseconds(static_cast<std::int64_t>(
                        share * static_cast<double>((kBounds[i] - from).count())));
    }
    before += here;
  }
  return kBounds.back();
}

void CallCounter::note(std::chrono::nanoseconds took, CallOutcome outcome) {
  const auto time = std::chrono::duration_cast<microseconds>(took);
  const auto bound = std::ranges::lower_bound(CallTimes::kBounds, time);
  buckets_[static_cast<std::size_t>(bound - CallTimes::kBounds.begin())].fetch_add(
      1, std::memory_order_relaxed);
  micros_.fetch_add(static_cast<std::uint64_t>(time.count()), std::memory_order_relaxed);
  if (outcome == CallOutcome::failed) errors_.fetch_add(1, std::memory_order_relaxed);
}

CallTimes CallCounter::take() {
  CallTimes counts;
  counts.errors = errors_.exchange(0, std::memory_order_relaxed);
  counts.micros = micros_.exchange(0, std::memory_order_relaxed);
  for (std::size_t i = 0; i < CallTimes::kBuckets; ++i)
    counts.buckets[i] = buckets_[i].exchange(0, std::memory_order_relaxed);
  return counts;
}

std::shared_ptr<CallCounter> CallFigures::of(const std::string& module, const Digest& digest) {
  std::pair<std::string, std::string> key{module, digest.hex()};
  const std::lock_guard lock(mutex_);
  if (!counters_.contains(key) && counters_.size() >= most_) key = {"other", ""};
  auto& counter = counters_[key];
  if (!counter) counter = std::make_shared<CallCounter>();
  return counter;
}

std::vector<CallFigures::Module> CallFigures::take() {
  std::vector<Module> all;
  const std::lock_guard lock(mutex_);
  for (auto at = counters_.begin(); at != counters_.end();) {
    // Asked before it is read: what is noted by its last holder is not lost.
    const bool is_unused = at->second.use_count() == 1;
    auto counts = at->second->take();
    if (counts.calls() != 0 || counts.errors != 0)
      all.push_back({at->first.first, at->first.second, counts});
    at = is_unused ? counters_.erase(at) : std::next(at);
  }
  return all;
}

}  // namespace aloft::host
