// An edge that dies under the running demonstration, and comes back.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/demo.h"
#include "support/temp_dir.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

// Waits until frames.csv has a row that `wanted` accepts; the number of rows then, 0 when `limit`
// passed.
template <class Predicate>
std::size_t wait_for_row(const std::filesystem::path& csv, std::chrono::seconds limit,
                         Predicate wanted) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < end) {
    const auto rows = read_csv(csv);
    if (!rows.empty() && wanted(rows)) return rows.size();
    std::this_thread::sleep_for(20ms);  // the file has no event of its own
  }
  return 0;
}

// The identities of a run that never leaves the device.
std::vector<std::string> identities_of_a_run_that_stays(int frames) {
  TempDir out;
  auto app = Process::start(demo_command(
      out.path(), {"--place", "local", "--frames", std::to_string(frames), "--device-cpu", "100"}));
  EXPECT_TRUE(app && app->wait(110s) == 0);
  return read_identities(out / "frames.csv");
}

class DemoFault : public ::testing::TestWithParam<const char*> {};

TEST_P(DemoFault, a_killed_edge_costs_no_frame_and_is_used_again_when_it_is_back) {
  TempDir out;
  TempDir cache;
  auto edge = DemoEdge::start(cache.path());
  ASSERT_TRUE(edge.has_value()) << edge.error().message;
  const std::uint16_t port = edge->port();
  auto app = Process::start(
      demo_command(out.path(), {"--edge", edge->address(), "--place", "remote", "--frames", "400",
                                "--device-cpu", "100", "--in-flight", GetParam()}));
  ASSERT_TRUE(app.has_value()) << app.error().message;
  const auto csv = out / "frames.csv";

  const std::size_t before =
      wait_for_row(csv, 30s, [](const auto& rows) { return rows.size() > 20; });
  ASSERT_GT(before, 20U) << app->transcript();
  edge->process().kill();
  const std::size_t local =
      wait_for_row(csv, 10s, [&](const auto& rows) { return rows.back().at("place") == "local"; });
  ASSERT_GT(local, 0U) << app->transcript();

  auto again = DemoEdge::start(cache.path(), port);
  ASSERT_TRUE(again.has_value()) << again.error().message;
  const std::size_t back =
      wait_for_row(csv, 30s, [&](const auto& rows) { return rows.back().at("place") == "remote"; });
  EXPECT_GT(back, local) << app->transcript();
  ASSERT_EQ(app->wait(110s), 0) << app->transcript();

  const auto rows = read_csv(csv);
  ASSERT_EQ(rows.size(), 400U);
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i].at("frame"), std::to_string(i));
  const auto report = nlohmann::json::parse(std::ifstream(out / "report.json"));
  EXPECT_GE(report.at("fallbacks"), 1);
  ASSERT_FALSE(report.at("takeover_ms").is_null());
  EXPECT_LE(report.at("takeover_ms"), 250);
  // The tracker was at the edge that died: it was made again here, and knows everybody.
  EXPECT_GE(report.at("tracker").at("recoveries"), 1);
  auto identities = read_identities(csv);
  identities.resize(std::min(identities.size(), back + 40));  // beyond both hops
  expect_same_identities(identities,
                         identities_of_a_run_that_stays(static_cast<int>(identities.size())));
}

INSTANTIATE_TEST_SUITE_P(InFlight, DemoFault, ::testing::Values("1", "4"),
                         [](const auto& info) { return std::string("in_flight_") + info.param; });

}  // namespace
}  // namespace aloft::testing
