// Parts of a cluster die while eight devices use it: the faults that every change is tested with.
// All of them, one by one, are in cluster_faults_full_test.cc.
#include "cluster_faults.h"

#include <csignal>

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

TEST_F(ClusterFaults, eight_devices_lose_nothing_whoever_is_killed) {
  start({.hosts = 2, .managers = 2, .etcd = 3});
  if (IsSkipped() || HasFatalFailure()) return;

  // A manager, which comes back with another configuration.
  auto fault = now();
  ALOFT_ASSERT_OK(cluster_->kill("m1"));
  fleet_->run_for(1s);
  ALOFT_ASSERT_OK(cluster_->start("m1", {"--placement-preference", "pack"}));
  // Etcd's leader.
  const auto leader = cluster_->etcd().leader(kPatience);
  ASSERT_TRUE(leader);
  const std::string dead = "e" + std::to_string(*leader + 1);
  ALOFT_ASSERT_OK(cluster_->kill(dead));
  fleet_->run_for(2s);
  ALOFT_ASSERT_OK(cluster_->start(dead));
  ASSERT_NO_FATAL_FAILURE(settle());
  expect_unnoticed(fault, fleet_->all());

  // The process of a tenant.
  auto here = fleet_->at("h1");
  auto elsewhere = fleet_->at("h2");
  const auto tenant = cluster_->tenant_process("h1");
  ASSERT_TRUE(tenant);
  fault = now();
  ASSERT_EQ(::kill(*tenant, SIGKILL), 0);
  ASSERT_NO_FATAL_FAILURE(expect_local_start(fault, here, "a tenant's process is killed"));
  ASSERT_NO_FATAL_FAILURE(settle());
  expect_unnoticed(fault, elsewhere);

  // A host, with all that runs there.
  here = fleet_->at("h2");
  elsewhere = fleet_->at("h1");
  fault = now();
  ALOFT_ASSERT_OK(cluster_->kill("h2"));
  ASSERT_NO_FATAL_FAILURE(expect_local_start(fault, here, "a host is killed"));
  ASSERT_NO_FATAL_FAILURE(expect_placed_again("h2", fault));
  ALOFT_ASSERT_OK(cluster_->start("h2"));
  ASSERT_NO_FATAL_FAILURE(settle());
  expect_unnoticed(fault, elsewhere);

  finish();
}

}  // namespace
}  // namespace aloft::testing
