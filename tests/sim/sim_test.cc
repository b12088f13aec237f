// The contract of elastic channels and functions, kept over many seeds; and that it is noticed when
// it is not kept.
#include <cstdint>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "base/mutation.h"
#include "mutations.h"
#include "regressions.h"
#include "support/extent.h"
#include "world.h"

namespace aloft::sim {
namespace {

constexpr std::uint64_t kSeeds = 2000;

std::string told(std::uint64_t seed, const RunResult& result) {
  std::ostringstream out;
  out << "seed " << seed << " (" << to_string(result.plot) << ")";
  for (const std::string& violation : result.violations) out << "\n  " << violation;
  out << "\n  replay: ./dev fuzz sim --first " << seed << " --trace";
  return out.str();
}

TEST(Simulation, keeps_the_contract_for_2000_seeds) {
  RunResult::Seen all;
  const std::uint64_t seeds = testing::by_extent(kSeeds, 20 * kSeeds);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    RunOptions options;
    options.seed = seed;
    const RunResult result = run(options);
    EXPECT_TRUE(result.violations.empty()) << told(seed, result);
    all.ok += result.seen.ok;
    all.dropped += result.seen.dropped;
    all.trapped += result.seen.trapped;
    all.interrupted += result.seen.interrupted;
    all.failed += result.seen.failed;
    all.moves += result.seen.moves;
    all.failed_moves += result.seen.failed_moves;
    all.recoveries += result.seen.recoveries;
    all.resumed += result.seen.resumed;
    all.repeated += result.seen.repeated;
    all.faults += result.seen.faults;
    all.loads += result.seen.loads;
    all.overloaded += result.seen.overloaded;
  }
  // A contract that is never put to the test is easily kept.
  EXPECT_GT(all.ok, 50'000U);
  for (const std::uint64_t count :
       {all.dropped, all.trapped, all.interrupted, all.failed, all.moves, all.failed_moves,
        all.recoveries, all.resumed, all.repeated, all.faults, all.loads, all.overloaded})
    EXPECT_GT(count, 200U);
}

TEST(Simulation, is_a_pure_function_of_its_seed) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    RunOptions options;
    options.seed = seed;
    const RunResult first = run(options);
    std::ostringstream trace;
    options.trace = &trace;
    const RunResult second = run(options);
    EXPECT_EQ(first.fingerprint, second.fingerprint) << seed;
    EXPECT_EQ(first.events, second.events) << seed;
    EXPECT_FALSE(trace.str().empty());
  }
}

class Planted : public ::testing::TestWithParam<Mutation> {
 protected:
  void SetUp() override { planted_mutation = GetParam().name; }
  void TearDown() override { planted_mutation = {}; }
};

TEST_P(Planted, is_noticed_within_2000_seeds) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    RunOptions options;
    options.seed = seed;
    if (!run(options).violations.empty()) return;
  }
  FAIL() << "nobody notices: " << GetParam().meaning;
}

INSTANTIATE_TEST_SUITE_P(Mutation, Planted, ::testing::ValuesIn(all_mutations()),
                         [](const auto& info) { return std::string(info.param.name); });

class Regressed : public ::testing::TestWithParam<Regression> {};

TEST_P(Regressed, keeps_the_contract) {
  RunOptions options;
  options.seed = GetParam().seed;
  options.plot = GetParam().plot;
  const RunResult result = run(options);
  EXPECT_TRUE(result.violations.empty()) << told(options.seed, result);
}

INSTANTIATE_TEST_SUITE_P(Regression, Regressed, ::testing::ValuesIn(kRegressions),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace aloft::sim
