// Time that only passes: CLOCK_BOOTTIME, which nobody can set, and which goes on while the machine
// sleeps. What has to last for so long, a lease or a ticket, is measured by it; the steady clock
// would stand still in a suspended machine, and a clock on the wall may be set.
#pragma once

#include <chrono>
#include <ctime>
#include <functional>

namespace aloft {

struct BootClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;  // since this machine was started
  static constexpr bool is_steady = true;

  [[nodiscard]] static time_point now() {
    timespec time{};
    ::clock_gettime(CLOCK_BOOTTIME, &time);
    return time_point(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
  }
};

// Where a class gets it from, so that a test can give it another. Any thread may call it.
using BootClockSource = std::function<BootClock::time_point()>;

}  // namespace aloft
