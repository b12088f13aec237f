// Sessions that move from a loaded host to an idle one, asked for or by a manager itself, and what
// devices are told of hosts. Hosts are simulated but for their services.
#include <map>
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "cluster/testing/cluster_fixture.h"

namespace aloft::cluster {
namespace {

using testing::call;
using testing::Cluster;
using testing::eventually;
using testing::open_request;
using Stub = v1::OffloadManager::Stub;

const std::string kTenants = testing::roomy_tenant("acme");
constexpr std::uint32_t kCpu = 1000;  // of each host; a session has a tenth
constexpr int kSessions = 8;

void open_all(Cluster& cluster) {
  const auto device = cluster.tenant("acme");
  for (int i = 0; i < kSessions; ++i) {
    v1::Session session;
    const auto status = call(*device, &Stub::OpenSession, open_request(), session);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
}

std::map<std::string, int> by_host(Stub& stub) {
  v1::ListSessionsResponse all;
  std::map<std::string, int> hosts;
  if (!call(stub, &Stub::ListSessions, v1::ListSessionsRequest{}, all).ok()) return hosts;
  for (const auto& session : all.sessions()) {
    if (session.state() == v1::Session::PLACED) ++hosts[session.placement().host_id()];
  }
  return hosts;
}

const std::map<std::string, int> kEven{{"h1", 5}, {"h2", 3}};  // 0.1 apart, as of promises alone

TEST(Balance, sessions_move_to_an_idle_host_when_that_is_asked_for_and_then_no_more) {
  Cluster cluster(kTenants);
  const auto first = cluster.host({.id = "h1", .cpu_millicores = kCpu});
  ASSERT_NO_FATAL_FAILURE(open_all(cluster));
  const auto second = cluster.host({.id = "h2", .cpu_millicores = kCpu});
  const auto stub = cluster.operator_();

  v1::RebalanceRequest request;
  v1::RebalanceResponse response;
  EXPECT_EQ(call(*cluster.tenant("acme"), &Stub::Rebalance, request, response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  request.set_only_say(true);
  ASSERT_TRUE(call(*stub, &Stub::Rebalance, request, response).ok());
  EXPECT_EQ(response.moves_size(), 3);
  EXPECT_EQ(by_host(*stub), (std::map<std::string, int>{{"h1", kSessions}}));

  request.set_only_say(false);
  ASSERT_TRUE(call(*stub, &Stub::Rebalance, request, response).ok());
  EXPECT_EQ(response.moves_size(), 3);
  for (const auto& move : response.moves()) EXPECT_EQ(move.to_host(), "h2");
  EXPECT_EQ(by_host(*stub), kEven);
  ASSERT_TRUE(call(*stub, &Stub::Rebalance, request, response).ok());
  EXPECT_EQ(response.moves_size(), 0);
}

TEST(Balance, a_manager_does_it_by_itself_where_it_is_told_to) {
  Cluster cluster(kTenants, [](ManagerOptions& options) { options.rebalance = true; });
  const auto first = cluster.host({.id = "h1", .cpu_millicores = kCpu});
  ASSERT_NO_FATAL_FAILURE(open_all(cluster));
  const auto second = cluster.host({.id = "h2", .cpu_millicores = kCpu});
  const auto stub = cluster.operator_();
  EXPECT_TRUE(eventually([&] { return by_host(*stub) == kEven; }));
}

TEST(Balance, a_device_is_told_where_hosts_are_and_its_distances_count_in_its_placement) {
  Cluster cluster(kTenants);
  const auto first = cluster.host({.id = "h1"});
  const auto second = cluster.host({.id = "h2"});
  const auto device = cluster.tenant("acme");
  v1::ListNearHostsResponse near;
  ASSERT_TRUE(call(*device, &Stub::ListNearHosts, v1::ListNearHostsRequest{}, near).ok());
  ASSERT_EQ(near.hosts_size(), 2);
  for (const auto& host : near.hosts())
    EXPECT_EQ(host.address(), (host.id() == "h1" ? first : second)->address());
  v1::ListNearHostsResponse refused;
  EXPECT_EQ(call(*cluster.nobody(), &Stub::ListNearHosts, v1::ListNearHostsRequest{}, refused)
                .error_code(),
            grpc::StatusCode::UNAUTHENTICATED);

  auto request = open_request();
  (*request.mutable_round_trip_us())["h1"] = 40'000;
  (*request.mutable_round_trip_us())["h2"] = 500;
  v1::Session session;
  ASSERT_TRUE(call(*device, &Stub::OpenSession, request, session).ok());
  EXPECT_EQ(session.placement().host_id(), "h2");
  v1::ExplainSessionRequest explain;
  explain.set_id(session.id());
  v1::PlacementReason reason;
  ASSERT_TRUE(call(*device, &Stub::ExplainSession, explain, reason).ok());
  ASSERT_EQ(reason.scores_size(), 2);
  EXPECT_GT(reason.scores(0).round_trip(), reason.scores(1).round_trip());
}

}  // namespace
}  // namespace aloft::cluster
