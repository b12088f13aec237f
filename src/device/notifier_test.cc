#include "device/notifier.h"

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
            (std::string("aloft_notifier_") +
             testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  ~MadeUpKernel() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text << "\n";
  }
  [[nodiscard]] Notifier notifier() const {
    return Notifier({.sys = root_ / "sys", .proc = root_ / "proc"});
  }

  fs::path root_;
};

TEST_F(MadeUpKernel, without_a_sensor_has_no_temperature) {
  const DeviceSample sample = notifier().sample();
  EXPECT_TRUE(sample.temperatures.empty());
  EXPECT_FALSE(Notifier::processor_temperature(sample).has_value());
}

TEST_F(MadeUpKernel, has_the_temperatures_of_its_thermal_zones_in_their_order) {
  write("sys/class/thermal/thermal_zone0/type", "acpitz");
  write("sys/class/thermal/thermal_zone0/temp", "27800");
  write("sys/class/thermal/thermal_zone10/type", "battery");
  write("sys/class/thermal/thermal_zone10/temp", "-5500");
  write("sys/class/thermal/thermal_zone2/type", "x86_pkg_temp");
  write("sys/class/thermal/thermal_zone2/temp", "61000");
  write("sys/class/thermal/cooling_device0/type", "Fan");
  const DeviceSample sample = notifier().sample();
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
  const DeviceSample sample = notifier().sample();
  ASSERT_EQ(sample.temperatures.size(), 2U);
  EXPECT_EQ(sample.temperatures[0].sensor, "coretemp Package id 0");
  EXPECT_EQ(sample.temperatures[1].sensor, "coretemp temp2");
}

TEST_F(MadeUpKernel, leaves_out_a_sensor_that_answers_nonsense) {
  write("sys/class/thermal/thermal_zone0/type", "iwlwifi");
  write("sys/class/thermal/thermal_zone0/temp", "");
  write("sys/class/thermal/thermal_zone1/type", "broken");
  write("sys/class/thermal/thermal_zone1/temp", "-274000");
  EXPECT_TRUE(notifier().sample().temperatures.empty());
}

TEST_F(MadeUpKernel, takes_the_processors_own_sensor_for_its_temperature) {
  write("sys/class/thermal/thermal_zone0/type", "nvme");
  write("sys/class/thermal/thermal_zone0/temp", "70000");
  write("sys/class/thermal/thermal_zone1/type", "cpu-thermal");
  write("sys/class/thermal/thermal_zone1/temp", "52000");
  write("sys/class/thermal/thermal_zone2/type", "soc-thermal");
  write("sys/class/thermal/thermal_zone2/temp", "55000");
  const auto temperature = Notifier::processor_temperature(notifier().sample());
  ASSERT_TRUE(temperature.has_value());
  EXPECT_EQ(temperature->sensor, "soc-thermal");
}

TEST_F(MadeUpKernel, is_as_busy_as_its_counters_say_between_two_samples) {
  write("proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0");
  Notifier notifier = this->notifier();
  EXPECT_FALSE(notifier.sample().system_cpu_percent.has_value()) << "one sample says nothing";
  write("proc/stat", "cpu  150 5 115 910 20 0 0 0 40 0");  // 70 busy of 200
  const DeviceSample second = notifier.sample();
  ASSERT_TRUE(second.system_cpu_percent.has_value());
  EXPECT_DOUBLE_EQ(*second.system_cpu_percent, 35.0);
}

TEST_F(MadeUpKernel, without_counters_is_neither_busy_nor_idle) {
  Notifier notifier = this->notifier();
  (void)notifier.sample();
  EXPECT_FALSE(notifier.sample().system_cpu_percent.has_value());
}

TEST_F(MadeUpKernel, names_its_processor) {
  write("proc/cpuinfo", "processor\t: 0\nmodel\t\t: 143\nmodel name\t: Example CPU @ 2.10GHz");
  EXPECT_EQ(processor_model(root_ / "proc"), "Example CPU @ 2.10GHz");
  EXPECT_EQ(processor_model(root_ / "nothing"), "");
}

TEST(Notifier, counts_the_time_that_this_process_computes) {
  Notifier notifier;
  const DeviceSample first = notifier.sample();
  EXPECT_FALSE(first.process_cpu_percent.has_value());
  volatile unsigned sum = 0;
  while (process_cpu_time() - first.process_cpu < std::chrono::milliseconds(20)) sum = sum + 1;
  const DeviceSample second = notifier.sample();
  EXPECT_GE(second.process_cpu - first.process_cpu, std::chrono::milliseconds(20));
  ASSERT_TRUE(second.process_cpu_percent.has_value());
  const std::chrono::duration<double> cpu = second.process_cpu - first.process_cpu;
  const std::chrono::duration<double> wall = second.at - first.at;
  EXPECT_DOUBLE_EQ(*second.process_cpu_percent, 100 * cpu.count() / wall.count());
}

}  // namespace
}  // namespace aloft::device
