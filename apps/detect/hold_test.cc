#include "hold.h"

#include <chrono>
#include <ctime>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

namespace detect {
namespace {

double process_cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Burns processor time for `wall`; answers the share of one core this process got.
double share_of_a_core(std::chrono::milliseconds wall) {
  const auto begin = std::chrono::steady_clock::now();
  const double cpu_begin = process_cpu_seconds();
  while (std::chrono::steady_clock::now() - begin < wall) {
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  return (process_cpu_seconds() - cpu_begin) / elapsed.count();
}

TEST(CpuHold, a_held_process_gets_no_more_than_its_share) {
  auto hold = CpuHold::apply(30);
  if (!hold) GTEST_SKIP() << hold.error().message;
  EXPECT_LT(share_of_a_core(std::chrono::milliseconds(600)), 0.36) << hold->description();
}

TEST(CpuHold, a_machine_without_cgroups_is_a_clear_refusal) {
  const auto empty =
      std::filesystem::temp_directory_path() / ("aloft-no-cgroup-" + std::to_string(::getpid()));
  std::filesystem::create_directories(empty);
  const auto hold = CpuHold::apply(30, empty, empty);
  ASSERT_FALSE(hold.has_value());
  EXPECT_NE(hold.error().message.find("no cgroup with a cpu controller"), std::string::npos);
  EXPECT_NE(hold.error().message.find("--device-cpu 100"), std::string::npos);
  std::filesystem::remove_all(empty);
}

TEST(CpuHold, version_2_gets_a_quota_and_the_process_in_a_group_below_the_root) {
  const auto root =
      std::filesystem::temp_directory_path() / ("aloft-cgroup2-" + std::to_string(::getpid()));
  std::filesystem::create_directories(root / "proc/self");
  std::ofstream(root / "cgroup.controllers") << "cpu memory\n";
  std::ofstream(root / "cgroup.procs");
  std::ofstream(root / "proc/self/cgroup") << "0::/\n";
  const auto group = root / ("aloft-hold-" + std::to_string(::getpid()));
  {
    const auto hold = CpuHold::apply(25, root, root / "proc");
    ASSERT_TRUE(hold.has_value()) << hold.error().message;
    std::string line;
    std::getline(std::ifstream(group / "cpu.max") >> std::ws, line);
    EXPECT_EQ(line, "2500 10000");
    std::getline(std::ifstream(group / "cgroup.procs") >> std::ws, line);
    EXPECT_EQ(line, std::to_string(::getpid()));
    EXPECT_EQ(hold->description(), "cgroup v2, 2.5 of every 10 ms");
  }
  std::string back;
  std::getline(std::ifstream(root / "cgroup.procs") >> std::ws, back);
  EXPECT_EQ(back, std::to_string(::getpid()));
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace detect
