// What a frame costs the device in energy, and how warm it grows of it.
//
// Energy: a core that computes, a radio that sends or receives, and the wait for an answer, beside
// what the device draws anyhow. The channel's heartbeats keep a radio connected wherever calls run,
// so what that costs is no difference between places. The radio's figures are those of LTE: 438 mW
// for each Mbit/s of uplink, 52 mW of downlink, and of Wi-Fi 283 and 137 (J. Huang et al., "A Close
// Examination of Performance and Power Characteristics of 4G LTE Networks", MobiSys 2012).
//
// Heat: one thermal resistance and one capacity between the processor and the air, as in compact
// thermal models (K. Skadron et al., "Temperature-Aware Microarchitecture", ISCA 2003), here lumped
// into one node:
//
//   C dT/dt  =  P - (T - T_air) / R        T(t) = T_end + (T(0) - T_end) exp(-t / RC)
//
// R and RC are those of a fanless device: 15 K/W and 40 s.
#pragma once

#include <cmath>

#include "world.h"

namespace aloft::bench {

struct DevicePower {
  double busy_watts = 2.0;
  double waiting_watts = 0.13;
  double sending_watts_per_mbps = 0.283;
  double receiving_watts_per_mbps = 0.137;
  double idle_watts = 0.8;
};
inline constexpr DevicePower kOnWifi{};
inline constexpr DevicePower kOnMobile{.sending_watts_per_mbps = 0.438,
                                       .receiving_watts_per_mbps = 0.052};

// Of one frame, beyond an idle device.
struct FrameEnergy {
  double here_ms = 0;  // that a core computed
  double wait_ms = 0;  // that an answer was awaited
  bool sent = false;   // input and reply went over the air
  // What warms the processor; the radio stands elsewhere on the board. Millijoules.
  [[nodiscard]] double at_processor(const DevicePower& power) const {
    return here_ms * power.busy_watts + wait_ms * power.waiting_watts;
  }
  [[nodiscard]] double millijoules(const DevicePower& power, const Workload& workload) const {
    const double air = sent ? workload.input_bytes * 8 * power.sending_watts_per_mbps * 1e-3 +
                                  workload.reply_bytes * 8 * power.receiving_watts_per_mbps * 1e-3
                            : 0;
    return at_processor(power) + air;
  }
};

class Heat {
 public:
  static constexpr double kAir = 25;             // degrees Celsius
  static constexpr double kResistance = 15;      // K/W
  static constexpr double kTimeConstant = 40e3;  // ms

  [[nodiscard]] static double after(double celsius, double watts, double time_ms) {
    const double end = kAir + kResistance * watts;
    return end + (celsius - end) * std::exp(-time_ms / kTimeConstant);
  }
};

}  // namespace aloft::bench
