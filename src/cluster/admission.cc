#include "cluster/admission.h"

#include <algorithm>
#include <cmath>

namespace aloft::cluster {
namespace {

// For a tenant that may open nothing at all: its limits are changed by people.
constexpr std::chrono::milliseconds kLongest{60'000};

}  // namespace

std::optional<std::chrono::milliseconds> Admission::refuse(const Tenant& tenant,
                                                           Clock::time_point now) {
  const double burst = std::max<double>(tenant.open_burst, 1);
  const double rate = tenant.opens_per_second;
  if (!(rate > 0)) return kLongest;
  const std::scoped_lock lock(mutex_);
  const auto [at, is_new] = buckets_.try_emplace(tenant.name, Bucket{burst, now});
  Bucket& bucket = at->second;
  if (now > bucket.filled) {
    const double seconds = std::chrono::duration<double>(now - bucket.filled).count();
    bucket.tokens += seconds * rate;
    bucket.filled = now;
  }
  bucket.tokens = std::min(bucket.tokens, burst);  // the burst may have been lowered
  if (bucket.tokens >= 1) {
    bucket.tokens -= 1;
    return std::nullopt;
  }
  const double wait_ms = std::ceil((1 - bucket.tokens) / rate * 1000);
  const auto longest = static_cast<double>(kLongest.count());
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::clamp(wait_ms, 1.0, longest)));
}

}  // namespace aloft::cluster
