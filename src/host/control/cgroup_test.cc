// Control groups as this system has them; where it has none, nothing can be tested.
#include "host/control/cgroup.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace aloft::host {
namespace {

TEST(Cgroup, that_is_limited_to_half_a_processor_has_half_of_its_weight) {
  auto group = Cgroup::make("test-" + std::to_string(::getpid()));
  if (!group.limit({.cpu_millicores = 500}).empty()) GTEST_SKIP() << "no control groups here";
  if (const auto shares = group.read("cpu", "cpu.shares")) {
    EXPECT_EQ(shares, "512");
    EXPECT_EQ(std::stol(*group.read("cpu", "cpu.cfs_quota_us")) * 2,
              std::stol(*group.read("cpu", "cpu.cfs_period_us")));
    EXPECT_TRUE(group.limit({}).empty());
    EXPECT_EQ(group.read("cpu", "cpu.shares"), "1024");
    EXPECT_EQ(group.read("cpu", "cpu.cfs_quota_us"), "-1");
  } else {
    EXPECT_EQ(group.read("cpu", "cpu.max"), "10000 20000");
    EXPECT_EQ(group.read("cpu", "cpu.weight"), "20");
    EXPECT_TRUE(group.limit({}).empty());
    EXPECT_EQ(group.read("cpu", "cpu.max"), "max 20000");
  }
}

}  // namespace
}  // namespace aloft::host
