// A short form of `./dev bench control`: not how long it takes, but that what it opens is closed
// again, that hosts are filled to what they have and never beyond, and that the store is empty at
// the end. The benchmark itself fails where that is not so.
#include <chrono>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/process.h"
#include "support/temp_dir.h"
#include "test_paths.h"

namespace aloft {
namespace {

using namespace std::chrono_literals;

class ControlBench : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Stores, ControlBench, ::testing::Values("etcd", "embedded"),
                         [](const auto& store) { return std::string(store.param); });

TEST_P(ControlBench, opens_two_hundred_sessions_fills_all_hosts_and_leaves_nothing_behind) {
  const testing::TempDir folder;
  const std::string figures = folder / "figures.json";
  auto bench = testing::Process::start({(testing::binary_dir() / "bench/control").string(),
                                        "--store", GetParam(), "--sessions", "200", "--hosts", "20",
                                        "--json", figures});
  ASSERT_TRUE(bench) << bench.error().message;
  ASSERT_EQ(bench->wait(100s), 0) << bench->transcript();

  const auto rows = nlohmann::json::parse(std::ifstream(figures));
  ASSERT_EQ(rows.size(), 1U) << rows;
  EXPECT_EQ(rows[0].at("store"), GetParam());
  EXPECT_EQ(rows[0].at("sessions"), 200);
  EXPECT_GT(rows[0].at("opens_per_second"), 0);
  EXPECT_GE(rows[0].at("open_p99_ms"), rows[0].at("open_p50_ms"));
  EXPECT_GE(rows[0].at("bytes_per_session"), 0);
}

TEST(ControlBenchArguments, are_refused_with_what_is_wrong) {
  auto bench = testing::Process::start(
      {(testing::binary_dir() / "bench/control").string(), "--sessions", "0"});
  ASSERT_TRUE(bench) << bench.error().message;
  EXPECT_NE(bench->wait(30s), 0) << bench->transcript();
  EXPECT_NE(bench->standard_error().find("--sessions"), std::string::npos) << bench->transcript();
}

}  // namespace
}  // namespace aloft
