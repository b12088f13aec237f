#include "host/control/call_table.h"

#include <gtest/gtest.h>

namespace aloft::host {
namespace {

using namespace std::chrono_literals;

TEST(CallTable, a_process_that_lies_fills_no_more_than_its_share) {
  CallTable table(4, 8);
  CallCounter counter;
  counter.note(1ms, CallOutcome::done);
  const CallTimes one = counter.take();
  for (int i = 0; i < 100; ++i) {
    table.add("liar", {.name = "m" + std::to_string(i) + "\n\x01" + std::string(500, 'x'),
                       .digest = std::string(500, 'f'),
                       .counts = one});
  }
  table.add("honest", {.name = "detect", .digest = "ab", .counts = one});
  const auto rows = table.rows();
  EXPECT_LE(rows.size(), 6U);
  std::uint64_t calls = 0;
  bool honest = false;
  for (const auto& row : rows) {
    calls += row.all.calls();
    honest |= row.tenant == "honest" && row.module == "detect";
    EXPECT_LE(row.module.size(), 64U);
    EXPECT_EQ(row.module.find('\n'), std::string::npos);
  }
  EXPECT_EQ(calls, 101U) << "nothing is lost";
  EXPECT_TRUE(honest);
}

}  // namespace
}  // namespace aloft::host
