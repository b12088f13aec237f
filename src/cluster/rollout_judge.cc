#include "cluster/rollout_judge.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace aloft::cluster {
namespace {

// Additions of less than this share an entry, so that a long window stays short.
constexpr std::chrono::milliseconds kGrain{500};

std::string percent(double rate) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f %%", rate * 100);
  return text.data();
}

std::string milliseconds(double microseconds) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f ms", microseconds / 1000);
  return text.data();
}

}  // namespace

std::chrono::microseconds latency_bound(std::size_t bucket) {
  return std::chrono::microseconds(
      std::llround(16.0 * std::exp2(static_cast<double>(bucket) / 4.0)));
}

CallSums CallSums::of(const v1::ModuleCounts& counts) {
  CallSums sums{.calls = counts.calls(),
                .failures = std::min(counts.failures(), counts.calls()),
                .refusals = counts.refusals()};
  const auto size =
      std::min<std::size_t>(static_cast<std::size_t>(counts.latency_size()), kLatencyBuckets);
  for (std::size_t i = 0; i < size; ++i) sums.latency[i] = counts.latency(static_cast<int>(i));
  return sums;
}

void CallSums::add(const CallSums& more) {
  calls += more.calls;
  failures += more.failures;
  refusals += more.refusals;
  for (std::size_t i = 0; i < kLatencyBuckets; ++i) latency[i] += more.latency[i];
}

std::optional<CallSums> CallSums::since(const CallSums& earlier) const {
  CallSums more;
  if (earlier.calls > calls || earlier.failures > failures || earlier.refusals > refusals)
    return std::nullopt;
  more.calls = calls - earlier.calls;
  more.failures = failures - earlier.failures;
  more.refusals = refusals - earlier.refusals;
  for (std::size_t i = 0; i < kLatencyBuckets; ++i) {
    if (earlier.latency[i] > latency[i]) return std::nullopt;
    more.latency[i] = latency[i] - earlier.latency[i];
  }
  return more;
}

double CallSums::error_rate() const {
  return calls == 0 ? 0 : static_cast<double>(failures) / static_cast<double>(calls);
}

std::optional<std::chrono::microseconds> CallSums::p99() const {
  std::uint64_t all = 0;
  for (const std::uint64_t count : latency) all += count;
  if (all < RolloutJudge::kLeastForP99) return std::nullopt;
  const std::uint64_t wanted = all - all / 100;
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < kLatencyBuckets; ++i) {
    below += latency[i];
    if (below >= wanted) return latency_bound(i);
  }
  return latency_bound(kLatencyBuckets - 1);
}

void RolloutJudge::hear(const std::string& source, const CallSums& sums, Source kind,
                        Clock::time_point now) {
  const auto known = last_.find(source);
  std::optional<CallSums> more;
  if (known != last_.end()) {
    more = sums.since(known->second);
    if (!more) more = sums;
  } else if (kind == Source::new_to_all) {
    more = sums;
  } else {
    more = CallSums{};
  }
  last_.insert_or_assign(source, sums);
  if (more->calls == 0 && more->refusals == 0) return;
  window_.add(*more);
  if (!added_.empty() && now - added_.back().at < kGrain) {
    added_.back().sums.add(*more);
  } else {
    added_.push_back({now, *more});
  }
}

const CallSums& RolloutJudge::look(const v1::RolloutLimits& limits, Clock::time_point now) {
  const auto window =
      limits.window_ms() == 0 ? kWindow : std::chrono::milliseconds(limits.window_ms());
  while (!added_.empty() && now - added_.front().at > window) {
    window_ = window_.since(added_.front().sums).value_or(CallSums{});
    added_.pop_front();
  }
  return window_;
}

std::optional<std::string> RolloutJudge::verdict(const CallSums& window,
                                                 const v1::RolloutLimits& limits) {
  if (window.refusals > 0) {
    return "a host could not open it for " + std::to_string(window.refusals) +
           " session(s): its log says why";
  }
  if (limits.max_error_rate() >= 0 && window.calls >= kLeastCalls &&
      window.error_rate() > limits.max_error_rate()) {
    return std::to_string(window.failures) + " of " + std::to_string(window.calls) +
           " calls failed, " + percent(window.error_rate()) + ", and at most " +
           percent(limits.max_error_rate()) + " may";
  }
  if (const auto p99 = window.p99(); limits.max_p99_us() > 0 && p99) {
    const auto count = static_cast<double>(p99->count());
    // Bounds are a fifth apart: what is only rounded up beyond the limit is not beyond it.
    if (count > static_cast<double>(limits.max_p99_us()) * 1.19) {
      return "99 of 100 calls take up to " + milliseconds(count) + ", and at most " +
             milliseconds(static_cast<double>(limits.max_p99_us())) + " are allowed";
    }
  }
  return std::nullopt;
}

}  // namespace aloft::cluster
