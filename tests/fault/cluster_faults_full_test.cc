// Every fault that a cluster is made for, each in a cluster of its own under eight devices;
// minutes, so only with ALOFT_FULL=1 (./dev test --full). cluster_faults_test.cc has those of every
// change.
#include <csignal>
#include <cstdlib>

#include "cluster_faults.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

constexpr int kRounds = 3;  // of one and the same fault
// Longer than a lease, and than any time-out between parts.
constexpr auto kLong = 8s;

class EveryClusterFault : public ClusterFaults {
 protected:
  void SetUp() override {
    if (std::getenv("ALOFT_FULL") == nullptr) GTEST_SKIP() << "set ALOFT_FULL=1 for it";
  }
  void start_cluster(ClusterLayout layout = {}, FleetOptions fleet = {.rounds = kWork}) {
    if (IsSkipped()) return;
    start(std::move(layout), fleet);
  }
  // SetUp or start_cluster() has said that there is nothing to be done.
  [[nodiscard]] bool is_over() const { return IsSkipped() || HasFatalFailure(); }
  [[nodiscard]] static std::string other(const std::string& host) {
    return host == "h1" ? "h2" : "h1";
  }
};

TEST_F(EveryClusterFault, nobody_notices_managers_that_are_killed_one_or_all) {
  start_cluster();
  if (is_over()) return;
  const auto fault = now();
  for (int round = 0; round < kRounds; ++round) {
    for (const char* const manager : {"m1", "m2"}) {
      ALOFT_ASSERT_OK(cluster_->kill(manager));
      fleet_->run_for(2s);
      ALOFT_ASSERT_OK(cluster_->start(manager));
    }
  }
  ALOFT_ASSERT_OK(cluster_->kill("m1"));
  ALOFT_ASSERT_OK(cluster_->kill("m2"));
  fleet_->run_for(kLong);
  ALOFT_ASSERT_OK(cluster_->start("m2"));
  fleet_->run_for(kLong);
  ALOFT_ASSERT_OK(cluster_->start("m1"));
  ASSERT_NO_FATAL_FAILURE(settle());
  expect_unnoticed(fault, fleet_->all());
  finish();
}

TEST_F(EveryClusterFault, nobody_notices_that_the_leader_of_etcd_is_killed) {
  start_cluster();
  if (is_over()) return;
  const auto fault = now();
  for (int round = 0; round < kRounds; ++round) {
    const auto leader = cluster_->etcd().leader(kPatience);
    ASSERT_TRUE(leader);
    const std::string dead = "e" + std::to_string(*leader + 1);
    ALOFT_ASSERT_OK(cluster_->kill(dead));
    fleet_->run_for(kLong);
    ALOFT_ASSERT_OK(cluster_->start(dead));
    fleet_->run_for(2s);
  }
  ASSERT_NO_FATAL_FAILURE(settle());
  expect_unnoticed(fault, fleet_->all());
  finish();
}

TEST_F(EveryClusterFault, nobody_notices_that_etcd_has_lost_its_quorum) {
  start_cluster();
  if (is_over()) return;
  const auto fault = now();
  for (int round = 0; round < kRounds; ++round) {
    ALOFT_ASSERT_OK(cluster_->kill("e1"));
    ALOFT_ASSERT_OK(cluster_->kill("e2"));
    fleet_->run_for(kLong);
    ALOFT_ASSERT_OK(cluster_->start("e1"));
    ALOFT_ASSERT_OK(cluster_->start("e2"));
    ASSERT_TRUE(cluster_->etcd().leader(kPatience));
    fleet_->run_for(kLong);
    ASSERT_NO_FATAL_FAILURE(settle());
  }
  expect_unnoticed(fault, fleet_->all());
  finish();
}

TEST_F(EveryClusterFault, devices_go_on_by_themselves_while_a_tenants_process_is_replaced) {
  start_cluster();
  if (is_over()) return;
  for (int round = 0; round < kRounds; ++round) {
    for (const char* const host : {"h1", "h2"}) {
      const auto here = fleet_->at(host);
      const auto elsewhere = fleet_->at(other(host));
      const auto tenant = cluster_->tenant_process(host);
      ASSERT_TRUE(tenant);
      const auto fault = now();
      ASSERT_EQ(::kill(*tenant, SIGKILL), 0);
      ASSERT_NO_FATAL_FAILURE(expect_local_start(fault, here, "a tenant's process is killed"));
      ASSERT_NO_FATAL_FAILURE(settle());
      expect_unnoticed(fault, elsewhere);
    }
  }
  finish();
}

TEST_F(EveryClusterFault, sessions_of_a_host_that_is_killed_go_to_another_one) {
  start_cluster();
  if (is_over()) return;
  for (int round = 0; round < kRounds; ++round) {
    // The one that has most of them, since nobody goes back.
    const std::string host = fleet_->at("h1").size() >= fleet_->at("h2").size() ? "h1" : "h2";
    const auto here = fleet_->at(host);
    const auto elsewhere = fleet_->at(other(host));
    const auto fault = now();
    ALOFT_ASSERT_OK(cluster_->kill(host));
    ASSERT_NO_FATAL_FAILURE(expect_local_start(fault, here, "a host is killed"));
    ASSERT_NO_FATAL_FAILURE(expect_placed_again(host, fault));
    ALOFT_ASSERT_OK(cluster_->start(host));
    ASSERT_NO_FATAL_FAILURE(settle());
    if (!elsewhere.empty()) expect_unnoticed(fault, elsewhere);
  }
  finish();
}

TEST_F(EveryClusterFault, sessions_wait_where_no_other_host_has_room_and_none_has_too_many) {
  // Each host has room for five of the eight.
  start_cluster({.host_arguments = {"--capacity-cpu-millicores", "500"}},
                {.rounds = kWork, .cpu_millicores = 100});
  if (is_over()) return;
  for (int round = 0; round < kRounds; ++round) {
    for (const char* const host : {"h1", "h2"}) {
      const auto here = fleet_->at(host);
      const auto fault = now();
      ALOFT_ASSERT_OK(cluster_->kill(host));
      ASSERT_NO_FATAL_FAILURE(expect_local_start(fault, here, "a host is killed"));
      fleet_->run_for(kLong);
      EXPECT_EQ(fleet_->at(other(host)).size(), 5U);
      ALOFT_ASSERT_OK(cluster_->start(host));
      ASSERT_NO_FATAL_FAILURE(settle());
    }
  }
  finish();
}

TEST_F(EveryClusterFault, sessions_leave_a_host_that_managers_do_not_hear_without_a_stop) {
  start_cluster();
  if (is_over()) return;
  for (const char* const host : {"h1", "h2"}) {
    const auto fault = now();
    for (const char* const manager : {"m1", "m2"})
      ALOFT_ASSERT_OK(cluster_->network().cut_between(host, manager));
    ASSERT_NO_FATAL_FAILURE(expect_placed_again(host, fault));
    fleet_->run_for(kLong);
    for (const char* const manager : {"m1", "m2"})
      ALOFT_ASSERT_OK(cluster_->network().heal_between(host, manager));
    ASSERT_NO_FATAL_FAILURE(settle());
    expect_unnoticed(fault, fleet_->all());
  }
  finish();
}

TEST_F(EveryClusterFault, sessions_leave_a_host_that_devices_do_not_reach) {
  start_cluster();
  if (is_over()) return;
  for (const char* const host : {"h1", "h2"}) {
    const auto here = fleet_->at(host);
    const auto elsewhere = fleet_->at(other(host));
    const auto fault = now();
    ALOFT_ASSERT_OK(cluster_->network().cut_between(host, "device"));
    ASSERT_NO_FATAL_FAILURE(expect_local_start(fault, here, "a host is cut off from devices"));
    ASSERT_NO_FATAL_FAILURE(expect_placed_again(host, fault));
    ASSERT_NO_FATAL_FAILURE(settle());
    if (!elsewhere.empty()) expect_unnoticed(fault, elsewhere);
    ALOFT_ASSERT_OK(cluster_->network().heal_between(host, "device"));
    fleet_->run_for(2s);
  }
  finish();
}

TEST_F(EveryClusterFault, nobody_notices_managers_that_start_again_with_another_configuration) {
  start_cluster();
  if (is_over()) return;
  const auto fault = now();
  for (const char* const manager : {"m1", "m2"}) {
    ALOFT_ASSERT_OK(cluster_->end(manager));
    ALOFT_ASSERT_OK(
        cluster_->start(manager, {"--placement-preference", "pack", "--sessions-lives", "20s",
                                  "--hosts-lease", "5s", "--tickets-live", "30s"}));
    fleet_->run_for(kLong);
  }
  fleet_->run_for(20s);  // each session was renewed under it
  ASSERT_NO_FATAL_FAILURE(settle());
  expect_unnoticed(fault, fleet_->all());
  finish();
}

TEST_F(EveryClusterFault, nobody_notices_a_host_whose_clock_is_stepped_by_ten_minutes) {
  start_cluster({.stepped_clocks = {"h1"}});
  if (is_over()) return;
  const auto fault = now();
  for (const auto ahead : {600s, 0s, -600s}) {
    ALOFT_ASSERT_OK(cluster_->step_clock("h1", ahead));
    fleet_->run_for(kLong);
    ASSERT_NO_FATAL_FAILURE(settle());
    expect_unnoticed(fault, fleet_->all());
  }
  // Those who come back show tickets and secrets, and those of the other host get new tickets.
  const auto here = fleet_->at("h1");
  const auto tenant = cluster_->tenant_process("h1");
  ASSERT_TRUE(tenant);
  auto killed = now();
  ASSERT_EQ(::kill(*tenant, SIGKILL), 0);
  ASSERT_NO_FATAL_FAILURE(expect_local_start(killed, here, "a tenant's process is killed"));
  ASSERT_NO_FATAL_FAILURE(settle());
  killed = now();
  ALOFT_ASSERT_OK(cluster_->kill("h2"));
  ASSERT_NO_FATAL_FAILURE(expect_placed_again("h2", killed));
  ASSERT_TRUE(fleet_->wait_at_edge(20, kPatience));
  ALOFT_ASSERT_OK(cluster_->step_clock("h1", 600s));
  ALOFT_ASSERT_OK(cluster_->start("h2"));
  ASSERT_NO_FATAL_FAILURE(settle());
  finish();
}

TEST_F(EveryClusterFault, nobody_notices_a_host_whose_disk_is_full) {
  start_cluster({.small_disks = {{"h1", std::uint64_t{64} << 20U}}});
  if (is_over()) return;
  const auto fault = now();
  ALOFT_ASSERT_OK(cluster_->fill_disk("h1"));
  fleet_->run_for(kLong);
  ASSERT_NO_FATAL_FAILURE(settle());
  expect_unnoticed(fault, fleet_->all());
  // Those of the other host come here all the same: what they need is here already.
  const auto killed = now();
  ALOFT_ASSERT_OK(cluster_->kill("h2"));
  ASSERT_NO_FATAL_FAILURE(expect_placed_again("h2", killed));
  ASSERT_TRUE(fleet_->wait_at_edge(20, kPatience));
  // A process that is replaced while there is no room.
  const auto tenant = cluster_->tenant_process("h1");
  ASSERT_TRUE(tenant);
  const auto replaced = now();
  ASSERT_EQ(::kill(*tenant, SIGKILL), 0);
  ASSERT_NO_FATAL_FAILURE(expect_local_start(replaced, fleet_->all(), "a tenant's process dies"));
  ASSERT_TRUE(fleet_->wait_at_edge(20, kPatience));
  ALOFT_ASSERT_OK(cluster_->free_disk("h1"));
  ALOFT_ASSERT_OK(cluster_->start("h2"));
  ASSERT_NO_FATAL_FAILURE(settle());
  finish();
}

TEST_F(EveryClusterFault, nobody_notices_a_manager_whose_disk_is_full) {
  start_cluster({.managers = 1, .etcd = 0, .small_disks = {{"m1", std::uint64_t{8} << 20U}}});
  if (is_over()) return;
  const auto fault = now();
  ALOFT_ASSERT_OK(cluster_->fill_disk("m1"));
  fleet_->run_for(kLong);
  // It says what it cannot do, and why.
  auto more = Fleet::start(*cluster_, {.devices = 1, .rounds = kWork});
  ASSERT_TRUE(more) << more.error().message;
  fleet_->run_for(kLong);
  static_cast<void>(more->wait_until([] { return false; }, 100ms));
  EXPECT_TRUE(more->devices()[0].host.empty());
  expect_unnoticed(fault, fleet_->all());
  ALOFT_ASSERT_OK(cluster_->free_disk("m1"));
  EXPECT_TRUE(more->wait_at_edge(20, kPatience)) << more->transcript();
  for (const std::string& line : more->finish()) ADD_FAILURE() << line;
  ASSERT_NO_FATAL_FAILURE(settle());
  expect_unnoticed(fault, fleet_->all());
  finish();
}

}  // namespace
}  // namespace aloft::testing
