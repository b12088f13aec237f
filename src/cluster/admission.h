// How many sessions a tenant may open a second, at one manager: a token bucket each, so that a
// tenant that asks without end costs nothing but an answer.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "cluster/tenants.h"

namespace aloft::cluster {

// Thread rule: any thread.
class Admission {
 public:
  using Clock = std::chrono::steady_clock;

  // Takes one from the tenant's bucket. None: go on; otherwise when to ask again (at least 1 ms).
  // Only tenants of the tenants file come here, so the number of buckets is theirs.
  [[nodiscard]] std::optional<std::chrono::milliseconds> refuse(const Tenant& tenant,
                                                                Clock::time_point now);

 private:
  struct Bucket {
    double tokens = 0;
    Clock::time_point filled;
  };
  std::mutex mutex_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace aloft::cluster
