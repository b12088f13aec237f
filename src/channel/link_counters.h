// What is counted over all links of an endpoint, one after the other.
#pragma once

#include <atomic>
#include <cstdint>

namespace aloft::channel {

// Outlives each of them. Thread rule: any thread.
struct LinkCounters {
  std::atomic<std::uint64_t> tx_bytes{0};
  std::atomic<std::uint64_t> rx_bytes{0};
  std::atomic<std::int64_t> round_trip_ns{0};
  std::atomic<std::uint64_t> segments{0};
  std::atomic<std::uint64_t> resent{0};
};

}  // namespace aloft::channel
