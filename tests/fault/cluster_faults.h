// A fixture: a cluster in namespaces, eight devices that have frames all the time, and the history
// of the cluster's etcd; and what a test may say of them after a fault.
//
// Times are reported (`figure`), and judged by bounds that hold on processors that have much else
// to do: what is promised is in docs/faults.md, with what was measured.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "fleet.h"
#include "store_history.h"
#include "support/cluster_in_namespaces.h"
#include "support/temp_dir.h"

namespace aloft::testing {

class ClusterFaults : public ::testing::Test {
 protected:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kLease{3'000};  // of hosts; what managers have unasked
  static constexpr std::chrono::milliseconds kPatience{60'000};
  // What eight devices and their hosts have room for on two busy processors.
  static constexpr std::uint32_t kWork = 200'000;

  ~ClusterFaults() override;

  // Skips the test where there can be no cluster.
  void start(ClusterLayout layout, FleetOptions fleet = {.rounds = kWork});
  // All hosts are registered, all devices have results from the edge in a row.
  void settle();
  // Nothing was lost, doubled, out of order or wrong; and with etcd, no host ever promised more
  // than it has. Once, at the end.
  void finish();

  [[nodiscard]] static Clock::time_point now() { return Clock::now(); }
  // Shown, and kept in the test's result.
  void figure(const std::string& what, std::chrono::microseconds time);

  // These devices had their frames at the edge since then.
  void expect_unnoticed(Clock::time_point since, const std::set<std::size_t>& by);
  // These devices went on by themselves; when they began is the figure.
  void expect_local_start(Clock::time_point fault, const std::set<std::size_t>& on,
                          const std::string& what);
  // The sessions that were at this host are elsewhere, ready, within the lease and a second; what
  // it took is the figure.
  void expect_placed_again(const std::string& host, Clock::time_point fault);

  TempDir folder_;
  std::unique_ptr<ClusterInNamespaces> cluster_;
  std::optional<Fleet> fleet_;
  std::unique_ptr<StoreHistory> history_;  // with etcd

 private:
  bool finished_ = false;
};

}  // namespace aloft::testing

// For what gives a Result<void>: fails the test with what it says.
#define ALOFT_ASSERT_OK(expression)                              \
  do {                                                           \
    const auto aloft_outcome = (expression);                     \
    ASSERT_TRUE(aloft_outcome) << aloft_outcome.error().message; \
  } while (false)
