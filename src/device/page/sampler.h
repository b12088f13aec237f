// Points of the live page's curves for a program that makes none of its own: what it does in an
// interval, from how many decisions its runtime made, this process's processor time and what went
// over the links.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "device/sensors.h"
#include <aloft/live_page.h>

namespace aloft::device {

// User and system time of the calling thread since its start.
[[nodiscard]] std::chrono::nanoseconds this_thread_cpu_time();

// Thread rule: one thread at a time.
class Sampler {
 public:
  static constexpr std::chrono::milliseconds kInterval{250};

  struct Look {
    std::chrono::steady_clock::time_point at;
    std::optional<DecisionRecord> last;   // decision
    std::uint64_t link_bytes = 0;         // in both directions since the start
    std::chrono::nanoseconds page_cpu{};  // of the page, which is no part of the program's work
  };
  // The point since the one before; absent before an interval is over, or without a call in it.
  [[nodiscard]] std::optional<LivePoint> sample(const Look& look);

 private:
  Sensors sensors_;
  std::optional<Look> before_;
  std::chrono::nanoseconds cpu_before_{};
};

}  // namespace aloft::device
