// What a policy may know when it decides: how the device is, how the link is, and how long a call
// is likely to take in either place.
//
// What is not known is absent, never zero: a device without a sensor has no temperature.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace aloft {

// One look at the device (the Notifier's).
struct DeviceState {
  std::optional<double> cpu_celsius{};             // the processor's hottest sensor
  std::optional<double> cpu_celsius_per_second{};  // how it has changed lately
  std::optional<double> process_cpu_percent{};     // of one core: 200 means two cores busy
  std::optional<double> system_cpu_percent{};      // of all cores together: 0..100
  std::optional<int> cpu_cores{};                  // that are in use
  // The highest frequency that the processor may run at now, as a part of its highest: 0..1.
  std::optional<double> cpu_speed{};
  std::optional<std::uint64_t> memory_available{};  // bytes
  std::optional<double> battery_percent{};          // 0..100
  std::optional<bool> mains{};                      // fed from outside
  std::optional<double> watts{};  // what the device (its battery) or else its processor draws
};

// How the link to the edge is that a call would go to.
struct LinkState {
  std::optional<std::chrono::nanoseconds> round_trip{};  // of small messages, lately
  std::optional<double> uplink{};    // bytes a second, as calls have seen it; stale with time
  std::optional<double> downlink{};  // the same
  std::optional<double> loss{};      // part of the segments that were sent anew lately: 0..1
};

// How a call is likely to go at one place, from its call to its result.
struct Forecast {
  std::chrono::nanoseconds p50{};  // as likely less as more
  std::chrono::nanoseconds p90{};  // nine in ten calls take less
  // Of this device, for one call. Absent where neither sensor nor model says.
  std::optional<double> millijoules{};
  bool energy_measured = false;    // by a sensor; else a model says (EnergyModel)
  std::uint32_t observations = 0;  // calls of the function that ended there and count
  std::chrono::nanoseconds age{};  // of the newest of them
};

// What a call costs a device in energy where no sensor says: P = what is drawn beside an idle
// device. docs/policies.md has the formula, and where these figures come from.
struct EnergyModel {
  double busy_core_watts = 2.0;        // one core that computes
  double waiting_watts = 0.13;         // radio and process while an answer is awaited
  double sent_nanojoules = 283.0 * 8;  // a byte (Wi-Fi: 283 mW for each Mbit/s)
  double received_nanojoules = 137.0 * 8;
};

struct PredictionOptions {
  // Exploratory calls in vain: the most of all calls of a function, and the most of its time that
  // they may cost beyond what was predicted for the better place. 0: none. At the edge they run
  // here as well, and cost bytes and energy, but no time.
  double explored_calls = 0.05;
  double explored_time = 0.01;
  EnergyModel energy{};
};

}  // namespace aloft
