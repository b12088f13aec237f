#include "device/sensors.h"

#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace aloft::device {
namespace {

namespace fs = std::filesystem;

// A made-up kernel: files under a folder of its own, gone at the end.
class MadeUpKernel : public testing::Test {
 protected:
  MadeUpKernel() {
    root_ = fs::path(testing::TempDir()) /
            (std::string("aloft_sensors_") +
             testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  ~MadeUpKernel() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text << "\n";
  }
  [[nodiscard]] Sensors sensors() const {
    return Sensors({.sys = root_ / "sys", .proc = root_ / "proc"});
  }

  fs::path root_;
};

TEST_F(MadeUpKernel, without_a_sensor_has_no_temperature) {
  const DeviceSample sample = sensors().sample();
  EXPECT_TRUE(sample.temperatures.empty());
  EXPECT_FALSE(Sensors::processor_temperature(sample).has_value());
}

TEST_F(MadeUpKernel, has_the_temperatures_of_its_thermal_zones_in_their_order) {
  write("sys/class/thermal/thermal_zone0/type", "acpitz");
  write("sys/class/thermal/thermal_zone0/temp", "27800");
  write("sys/class/thermal/thermal_zone10/type", "battery");
  write("sys/class/thermal/thermal_zone10/temp", "-5500");
  write("sys/class/thermal/thermal_zone2/type", "x86_pkg_temp");
  write("sys/class/thermal/thermal_zone2/temp", "61000");
  write("sys/class/thermal/cooling_device0/type", "Fan");
  const DeviceSample sample = sensors().sample();
  ASSERT_EQ(sample.temperatures.size(), 3U);
  EXPECT_EQ(sample.temperatures[0].sensor, "acpitz");
  EXPECT_DOUBLE_EQ(sample.temperatures[0].celsius, 27.8);
  EXPECT_EQ(sample.temperatures[1].sensor, "x86_pkg_temp");
  EXPECT_EQ(sample.temperatures[2].sensor, "battery");
  EXPECT_DOUBLE_EQ(sample.temperatures[2].celsius, -5.5);
}

TEST_F(MadeUpKernel, has_the_temperatures_of_its_hwmon_chips_by_their_labels) {
  write("sys/class/hwmon/hwmon1/name", "coretemp");
  write("sys/class/hwmon/hwmon1/temp1_input", "48000");
  write("sys/class/hwmon/hwmon1/temp1_label", "Package id 0");
  write("sys/class/hwmon/hwmon1/temp2_input", "47000");
  write("sys/class/hwmon/hwmon1/temp1_max", "100000");
  const DeviceSample sample = sensors().sample();
  ASSERT_EQ(sample.temperatures.size(), 2U);
  EXPECT_EQ(sample.temperatures[0].sensor, "coretemp Package id 0");
  EXPECT_EQ(sample.temperatures[1].sensor, "coretemp temp2");
}

TEST_F(MadeUpKernel, leaves_out_a_sensor_that_answers_nonsense) {
  write("sys/class/thermal/thermal_zone0/type", "iwlwifi");
  write("sys/class/thermal/thermal_zone0/temp", "");
  write("sys/class/thermal/thermal_zone1/type", "broken");
  write("sys/class/thermal/thermal_zone1/temp", "-274000");
  EXPECT_TRUE(sensors().sample().temperatures.empty());
}

TEST_F(MadeUpKernel, takes_the_processors_own_sensor_for_its_temperature) {
  write("sys/class/thermal/thermal_zone0/type", "nvme");
  write("sys/class/thermal/thermal_zone0/temp", "70000");
  write("sys/class/thermal/thermal_zone1/type", "cpu-thermal");
  write("sys/class/thermal/thermal_zone1/temp", "52000");
  write("sys/class/thermal/thermal_zone2/type", "soc-thermal");
  write("sys/class/thermal/thermal_zone2/temp", "55000");
  const auto temperature = Sensors::processor_temperature(sensors().sample());
  ASSERT_TRUE(temperature.has_value());
  EXPECT_EQ(temperature->sensor, "soc-thermal");
}

TEST_F(MadeUpKernel, is_as_busy_as_its_counters_say_between_two_samples) {
  write("proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0");
  Sensors sensors = this->sensors();
  EXPECT_FALSE(sensors.sample().system_cpu_percent.has_value()) << "one sample says nothing";
  write("proc/stat", "cpu  150 5 115 910 20 0 0 0 40 0");  // 70 busy of 200
  const DeviceSample second = sensors.sample();
  ASSERT_TRUE(second.system_cpu_percent.has_value());
  EXPECT_DOUBLE_EQ(*second.system_cpu_percent, 35.0);
}

TEST_F(MadeUpKernel, without_counters_is_neither_busy_nor_idle) {
  Sensors sensors = this->sensors();
  (void)sensors.sample();
  EXPECT_FALSE(sensors.sample().system_cpu_percent.has_value());
}

TEST_F(MadeUpKernel, without_battery_counters_or_memory_files_has_none_of_their_figures) {
  Sensors sensors = this->sensors();
  (void)sensors.sample();
  const DeviceSample sample = sensors.sample();
  EXPECT_FALSE(sample.battery_percent || sample.battery_watts || sample.mains);
  EXPECT_FALSE(sample.processor_watts || sample.cpu_speed);
  EXPECT_FALSE(sample.memory_total || sample.memory_available);
  const DeviceState state = sample.state();
  EXPECT_FALSE(state.cpu_celsius || state.watts || state.battery_percent || state.mains);
}

TEST_F(MadeUpKernel, has_what_its_batteries_say_and_not_the_mouses) {
  write("sys/class/power_supply/BAT0/type", "Battery");
  write("sys/class/power_supply/BAT0/capacity", "60");
  write("sys/class/power_supply/BAT0/status", "Discharging");
  write("sys/class/power_supply/BAT0/power_now", "4200000");
  write("sys/class/power_supply/BAT1/type", "Battery");
  write("sys/class/power_supply/BAT1/capacity", "80");
  write("sys/class/power_supply/BAT1/status", "Discharging");
  write("sys/class/power_supply/BAT1/current_now", "-500000");
  write("sys/class/power_supply/BAT1/voltage_now", "4000000");
  write("sys/class/power_supply/hidpp_battery_0/type", "Battery");
  write("sys/class/power_supply/hidpp_battery_0/scope", "Device");
  write("sys/class/power_supply/hidpp_battery_0/capacity", "5");
  write("sys/class/power_supply/AC/type", "Mains");
  write("sys/class/power_supply/AC/online", "0");
  const DeviceSample sample = sensors().sample();
  ASSERT_TRUE(sample.battery_percent && sample.battery_watts && sample.mains);
  EXPECT_DOUBLE_EQ(*sample.battery_percent, 70);
  EXPECT_DOUBLE_EQ(*sample.battery_watts, 4.2 + 2.0);
  EXPECT_FALSE(*sample.mains);
  EXPECT_DOUBLE_EQ(*sample.state().watts, 6.2);
}

TEST_F(MadeUpKernel, draws_nothing_from_a_battery_that_is_charged) {
  write("sys/class/power_supply/BAT0/type", "Battery");
  write("sys/class/power_supply/BAT0/capacity", "60");
  write("sys/class/power_supply/BAT0/status", "Charging");
  write("sys/class/power_supply/BAT0/power_now", "4200000");
  write("sys/class/power_supply/AC/type", "Mains");
  write("sys/class/power_supply/AC/online", "1");
  const DeviceSample sample = sensors().sample();
  EXPECT_FALSE(sample.battery_watts.has_value());
  EXPECT_EQ(sample.mains, true);
}

TEST_F(MadeUpKernel, knows_its_processors_power_from_the_counter_of_each_package) {
  write("sys/class/powercap/intel-rapl:0/name", "package-0");
  write("sys/class/powercap/intel-rapl:0/max_energy_range_uj", "1000000000");
  write("sys/class/powercap/intel-rapl:0/energy_uj", "999000000");
  write("sys/class/powercap/intel-rapl:0:0/name", "core");
  write("sys/class/powercap/intel-rapl:0:0/energy_uj", "5");
  write("sys/class/powercap/intel-rapl:1/name", "psys");
  write("sys/class/powercap/intel-rapl:1/energy_uj", "7");
  Sensors sensors = this->sensors();
  const DeviceSample first = sensors.sample();
  EXPECT_FALSE(first.processor_watts.has_value()) << "one look says nothing";
  write("sys/class/powercap/intel-rapl:0/energy_uj", "2000000");  // it has wrapped: 3 J on
  const DeviceSample second = sensors.sample();
  ASSERT_TRUE(second.processor_watts.has_value());
  const double time = std::chrono::duration<double>(second.at - first.at).count();
  EXPECT_NEAR(*second.processor_watts, 3.0 / time, 1e-6 / time);
}

TEST_F(MadeUpKernel, has_its_memory_in_bytes) {
  write("proc/meminfo", "MemTotal:        8048232 kB\nMemFree: 1 kB\nMemAvailable:    1024 kB");
  const DeviceSample sample = sensors().sample();
  EXPECT_EQ(sample.memory_total, 8048232ULL * 1024);
  EXPECT_EQ(sample.memory_available, 1024ULL * 1024);
}

TEST_F(MadeUpKernel, knows_how_fast_its_fastest_cores_may_run) {
  write("sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq", "1800000");
  write("sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq", "1800000");
  write("sys/devices/system/cpu/cpufreq/policy4/cpuinfo_max_freq", "3000000");
  write("sys/devices/system/cpu/cpufreq/policy4/scaling_max_freq", "1500000");
  EXPECT_EQ(sensors().sample().cpu_speed, 0.5);
}

TEST_F(MadeUpKernel, names_its_processor) {
  write("proc/cpuinfo", "processor\t: 0\nmodel\t\t: 143\nmodel name\t: Example CPU @ 2.10GHz");
  EXPECT_EQ(processor_model(root_ / "proc"), "Example CPU @ 2.10GHz");
  EXPECT_EQ(processor_model(root_ / "nothing"), "");
}

TEST(Sensors, counts_the_time_that_this_process_computes) {
  Sensors sensors;
  const DeviceSample first = sensors.sample();
  EXPECT_FALSE(first.process_cpu_percent.has_value());
  volatile unsigned sum = 0;
  while (process_cpu_time() - first.process_cpu < std::chrono::milliseconds(20)) sum = sum + 1;
  const DeviceSample second = sensors.sample();
  EXPECT_GE(second.process_cpu - first.process_cpu, std::chrono::milliseconds(20));
  ASSERT_TRUE(second.process_cpu_percent.has_value());
  const std::chrono::duration<double> cpu = second.process_cpu - first.process_cpu;
  const std::chrono::duration<double> wall = second.at - first.at;
  EXPECT_DOUBLE_EQ(*second.process_cpu_percent, 100 * cpu.count() / wall.count());
}

}  // namespace
}  // namespace aloft::device
