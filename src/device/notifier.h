// The Notifier: what the device knows about itself, for policies, frames.csv and reports.
//
// Reads the kernel's files at the moment it is asked. What cannot be read is absent (an empty
// optional), never zero and never made up: a device without a temperature sensor has no
// temperature.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace aloft::device {

struct Temperature {
  std::string sensor;  // "x86_pkg_temp", "coretemp Package id 0"
  double celsius = 0;
};

// One look at the device.
struct DeviceSample {
  std::chrono::steady_clock::time_point at;
  std::chrono::nanoseconds process_cpu{};  // user and system time of this process since its start
  // Since the sample before; absent in the first one, and when no time has passed.
  std::optional<double> process_cpu_percent;  // of one core: 200 means two cores busy
  std::optional<double> system_cpu_percent;   // of all cores together: 0..100
  std::vector<Temperature> temperatures;      // thermal zones, then hwmon sensors
};

// Thread rule: one thread at a time.
class Notifier {
 public:
  // Where the kernel's files are; tests name made-up ones.
  struct Roots {
    std::filesystem::path sys = "/sys";
    std::filesystem::path proc = "/proc";
  };

  Notifier() : Notifier(Roots{}) {}
  explicit Notifier(Roots roots);

  // Percentages cover the time since the sample() before.
  [[nodiscard]] DeviceSample sample();

  // The hottest sensor that is about the processor (by its name), else the hottest of all; empty
  // without a sensor.
  [[nodiscard]] static std::optional<Temperature> processor_temperature(const DeviceSample& sample);

 private:
  struct SystemTicks {
    std::uint64_t busy = 0;
    std::uint64_t total = 0;
  };

  [[nodiscard]] std::optional<SystemTicks> system_ticks() const;
  [[nodiscard]] std::vector<Temperature> temperatures() const;

  const Roots roots_;
  std::optional<DeviceSample> before_;
  std::optional<SystemTicks> ticks_before_;
};

// User and system time of this process since its start.
[[nodiscard]] std::chrono::nanoseconds process_cpu_time();
// The processor's name as /proc/cpuinfo says it; empty when it says none.
[[nodiscard]] std::string processor_model(const std::filesystem::path& proc = "/proc");

}  // namespace aloft::device
