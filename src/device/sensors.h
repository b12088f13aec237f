// What the device's kernel says of the device: processor, temperatures, memory, battery, power.
//
// Reads the kernel's files at the moment it is asked. What cannot be read is absent (an empty
// optional), never zero and never made up: a device without a temperature sensor has no
// temperature. Files stay open between looks, since finding them costs more than reading them; what
// is plugged in later is found within kLookAgain.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "device/kernel_file.h"
#include <aloft/forecast.h>

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
  std::optional<double> process_cpu_percent{};  // of one core: 200 means two cores busy
  std::optional<double> system_cpu_percent{};   // of all cores together: 0..100
  int cpu_cores = 1;                            // that are in use
  std::optional<double> processor_watts{};      // drawn by the processor (powercap), since then
  std::vector<Temperature> temperatures{};      // thermal zones, then hwmon sensors
  // The highest frequency that the processor may run at now, as a part of its highest: 0..1.
  std::optional<double> cpu_speed{};
  std::optional<std::uint64_t> memory_total{};  // bytes
  std::optional<std::uint64_t> memory_available{};
  std::optional<double> battery_percent{};  // of all batteries of the device together
  std::optional<double> battery_watts{};    // drawn from them; absent while they are charged
  std::optional<bool> mains{};              // fed from outside

  // What policies are told of it, but for what takes two looks to know.
  [[nodiscard]] DeviceState state() const;
};

// Thread rule: one thread at a time.
class Sensors {
 public:
  // Where the kernel's files are; tests name made-up ones.
  struct Roots {
    std::filesystem::path sys = "/sys";
    std::filesystem::path proc = "/proc";
  };

  static constexpr std::chrono::seconds kLookAgain{10};

  Sensors() : Sensors(Roots{}) {}
  explicit Sensors(Roots roots);

  // What covers a time covers that since the sample() before.
  [[nodiscard]] DeviceSample sample();

  // The hottest sensor that is about the processor (by its name), else the hottest of all; empty
  // without a sensor.
  [[nodiscard]] static std::optional<Temperature> processor_temperature(const DeviceSample& sample);

 private:
  struct SystemTicks {
    std::uint64_t busy = 0;
    std::uint64_t total = 0;
  };
  struct Thermometer {
    std::string sensor;
    KernelFile millicelsius;
  };
  struct Battery {
    KernelFile percent;
    KernelFile status;
    KernelFile microwatts;
    KernelFile microamperes;
    KernelFile microvolts;
  };
  struct EnergyCounter {
    KernelFile microjoules;
    std::uint64_t wraps_at = 0;
    std::optional<std::uint64_t> before;
  };
  struct Frequency {
    double highest = 0;  // kHz
    KernelFile limit;
  };

  void find(std::chrono::steady_clock::time_point now);
  void find_thermometers();
  void find_power();
  [[nodiscard]] std::optional<SystemTicks> system_ticks();
  void read_memory(DeviceSample& sample);
  void read_temperatures(DeviceSample& sample);
  void read_supplies(DeviceSample& sample);
  void read_energy(DeviceSample& sample);

  const Roots roots_;
  KernelFile stat_;
  KernelFile meminfo_;
  std::vector<Thermometer> thermometers_;
  std::vector<Battery> batteries_;
  std::vector<KernelFile> feeds_;  // `online` of what feeds the device
  std::vector<EnergyCounter> counters_;
  std::optional<Frequency> frequency_;
  std::optional<std::chrono::steady_clock::time_point> found_;
  std::optional<DeviceSample> before_;
  std::optional<SystemTicks> ticks_before_;
};

// User and system time of this process since its start.
[[nodiscard]] std::chrono::nanoseconds process_cpu_time();
// The processor's name as /proc/cpuinfo says it; empty when it says none.
[[nodiscard]] std::string processor_model(const std::filesystem::path& proc = "/proc");

}  // namespace aloft::device
