// What one look at the device costs: this machine's kernel, and a made-up tree as large as a
// laptop's. `core_percent` is what ten looks a second take of a core, the thread's own time.
#include <filesystem>
#include <fstream>
#include <string>

#include <benchmark/benchmark.h>
#include <time.h>
#include <unistd.h>

#include "device/sensors.h"

namespace aloft::device {
namespace {

namespace fs = std::filesystem;

double thread_seconds() {
  timespec spent{};
  (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) + 1e-9 * static_cast<double>(spent.tv_nsec);
}

void look_again_and_again(benchmark::State& state, Sensors& sensors) {
  benchmark::DoNotOptimize(sensors.sample());
  const double before = thread_seconds();
  for (auto _ : state) benchmark::DoNotOptimize(sensors.sample());
  const double each = (thread_seconds() - before) / static_cast<double>(state.iterations());
  state.counters["core_percent"] = 100 * 10 * each;
}

void BM_look_at_this_machine(benchmark::State& state) {
  Sensors sensors;
  look_again_and_again(state, sensors);
}
BENCHMARK(BM_look_at_this_machine);

// 10 thermal zones, 4 chips of 6 sensors, 2 batteries, 1 package.
class Laptop {
 public:
  Laptop() : root_(fs::temp_directory_path() / ("aloft_laptop_" + std::to_string(::getpid()))) {
    for (int i = 0; i < 10; ++i) {
      const std::string zone = "sys/class/thermal/thermal_zone" + std::to_string(i) + "/";
      write(zone + "type", "x86_pkg_temp");
      write(zone + "temp", "51000");
    }
    for (int chip = 0; chip < 4; ++chip) {
      const std::string folder = "sys/class/hwmon/hwmon" + std::to_string(chip) + "/";
      write(folder + "name", "coretemp");
      for (int i = 1; i <= 6; ++i) write(folder + "temp" + std::to_string(i) + "_input", "48000");
    }
    for (int i = 0; i < 2; ++i) {
      const std::string battery = "sys/class/power_supply/BAT" + std::to_string(i) + "/";
      write(battery + "type", "Battery");
      write(battery + "status", "Discharging");
      write(battery + "capacity", "71");
      write(battery + "power_now", "6100000");
    }
    write("sys/class/power_supply/AC/type", "Mains");
    write("sys/class/power_supply/AC/online", "0");
    write("sys/class/powercap/intel-rapl:0/name", "package-0");
    write("sys/class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850");
    write("sys/class/powercap/intel-rapl:0/energy_uj", "81726354");
    write("sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq", "4200000");
    write("sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq", "3900000");
    write("proc/stat", "cpu  150 5 115 910 20 0 0 0 40 0");
    write("proc/meminfo", "MemTotal: 8048232 kB\nMemFree: 1 kB\nMemAvailable: 1024 kB");
  }
  ~Laptop() { fs::remove_all(root_); }
  Laptop(const Laptop&) = delete;
  Laptop& operator=(const Laptop&) = delete;

  [[nodiscard]] Sensors::Roots roots() const {
    return {.sys = root_ / "sys", .proc = root_ / "proc"};
  }

 private:
  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text << "\n";
  }
  const fs::path root_;
};

void BM_look_at_a_laptop(benchmark::State& state) {
  const Laptop laptop;
  Sensors sensors(laptop.roots());
  look_again_and_again(state, sensors);
}
BENCHMARK(BM_look_at_a_laptop);

}  // namespace
}  // namespace aloft::device
