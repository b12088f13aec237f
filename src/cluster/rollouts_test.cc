// Rollouts as operators, devices and hosts see them, with managers on both kinds of store; hosts
// are simulated but for their services.
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "cluster/rollout_versions.h"
#include "cluster/testing/cluster_fixture.h"

namespace aloft::cluster {
namespace {

using testing::call;
using testing::Cluster;
using testing::eventually;
using ::testing::HasSubstr;
using testing::open_request;
using testing::SimulatedHost;
using testing::StoreKind;
using Stub = v1::OffloadManager::Stub;
using Code = grpc::StatusCode;

const std::string kTenants = testing::roomy_tenant("acme");
constexpr std::uint32_t kApiVersion = 2;
constexpr int kSessions = 12;

std::string digest(char of) { return "sha256:" + std::string(64, of); }

class RolloutTest : public ::testing::TestWithParam<StoreKind> {
 protected:
  // An embedded store has one manager as a rule; here two share it in one process.
  RolloutTest()
      : cluster_(
            kTenants, [](ManagerOptions& options) { options.leaving = std::chrono::seconds(1); }, 2,
            GetParam()) {
    host_ = cluster_.host({.id = "h1", .memory_bytes = std::uint64_t{8} << 30U});
    device_ = cluster_.tenant("acme", 1);
    operator_ = cluster_.operator_(1);
    // It has registered at either, and the other hears of it from the store.
    EXPECT_TRUE(eventually([&] {
      v1::ListHostsResponse hosts;
      return call(*operator_, &Stub::ListHosts, v1::ListHostsRequest{}, hosts).ok() &&
             hosts.hosts_size() == 1;
    }));
  }

  v1::Session open(std::uint32_t api_version = kApiVersion) {
    auto request = open_request();
    request.set_api_version(api_version);
    v1::Session session;
    const auto status = call(*device_, &Stub::OpenSession, request, session);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return session;
  }
  grpc::Status start(double percent, char to = 'b', const std::string& module = "detect") {
    v1::StartRolloutRequest request;
    request.set_tenant("acme");
    request.mutable_module()->set_name(module);
    request.mutable_module()->set_digest(digest(to));
    request.set_percent_hundredths(static_cast<std::uint32_t>(percent * 100));
    request.mutable_limits()->set_max_error_rate(0.1);
    v1::Rollout rollout;
    return call(*operator_, &Stub::StartRollout, request, rollout);
  }
  grpc::Status end(v1::EndRolloutRequest::How how) {
    v1::EndRolloutRequest request;
    request.set_tenant("acme");
    request.set_module("detect");
    request.set_how(how);
    v1::Rollout rollout;
    return call(*operator_, &Stub::EndRollout, request, rollout);
  }
  v1::Rollout status() {
    v1::ListRolloutsResponse response;
    const auto status = call(*operator_, &Stub::ListRollouts, v1::ListRolloutsRequest{}, response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.rollouts_size(), 1);
    return response.rollouts_size() == 1 ? response.rollouts(0) : v1::Rollout{};
  }
  // By session, what it has; those that are not placed are left out.
  std::map<std::string, std::string> versions() {
    v1::ListSessionsResponse all;
    std::map<std::string, std::string> found;
    if (!call(*operator_, &Stub::ListSessions, v1::ListSessionsRequest{}, all).ok()) return found;
    for (const auto& session : all.sessions()) {
      if (session.state() == v1::Session::PLACED)
        found.emplace(session.id(), session.modules(0).digest());
    }
    return found;
  }
  // The new version for those that the hash says, and for no others.
  bool is_at(double percent, char to = 'b') {
    const auto all = versions();
    return all.size() == ids_.size() && std::ranges::all_of(all, [&](const auto& one) {
             const bool is_new = rollout_part(one.first) < percent * 100;
             return one.second == digest(is_new ? to : 'a');
           });
  }
  void open_all() {
    while (ids_.size() < kSessions) ids_.push_back(open().id());
  }

  Cluster cluster_;
  std::unique_ptr<SimulatedHost> host_;
  Cluster::Client device_, operator_;
  std::vector<std::string> ids_;
};

TEST_P(RolloutTest, exactly_the_hashed_sessions_get_the_new_version_and_the_others_with_the_rest) {
  open_all();
  ASSERT_TRUE(start(50).ok());
  EXPECT_TRUE(eventually([&] { return is_at(50); }));
  // Who opens one now gets the version of its part at once.
  const auto session = open();
  ids_.push_back(session.id());
  EXPECT_EQ(session.modules(0).digest(), digest(rollout_part(session.id()) < 5'000 ? 'b' : 'a'));

  ASSERT_TRUE(start(75).ok());
  EXPECT_TRUE(eventually([&] { return is_at(75); }));
  ASSERT_TRUE(end(v1::EndRolloutRequest::FINISH).ok());
  EXPECT_TRUE(eventually([&] { return is_at(100); }));
  EXPECT_EQ(open().modules(0).digest(), digest('b'));
  EXPECT_EQ(status().state(), v1::Rollout::FINISHED);
  EXPECT_EQ(status().to().sessions(), static_cast<std::uint32_t>(kSessions + 2));
  EXPECT_EQ(end(v1::EndRolloutRequest::ABORT).error_code(), Code::PERMISSION_DENIED);

  // The next one goes on from there, for devices that were built with the first.
  ids_.clear();
  ASSERT_TRUE(start(100, 'c').ok());
  EXPECT_TRUE(eventually([&] {
    const auto all = versions();
    return std::ranges::all_of(all, [](const auto& one) { return one.second == digest('c'); });
  }));
  ASSERT_TRUE(end(v1::EndRolloutRequest::ABORT).ok());
  EXPECT_TRUE(eventually([&] {
    const auto all = versions();
    return std::ranges::all_of(all, [](const auto& one) { return one.second == digest('b'); });
  }));
}

TEST_P(RolloutTest, the_device_is_told_of_its_new_version_with_a_ticket_for_it) {
  const auto session = open();
  ids_ = {session.id()};
  v1::WatchSessionRequest request;
  request.set_id(session.id());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + testing::kPatience);
  const auto stream = device_->WatchSession(&context, request);
  v1::Session told;
  ASSERT_TRUE(stream->Read(&told));
  EXPECT_EQ(told.modules(0).digest(), digest('a'));
  ASSERT_TRUE(start(100).ok());
  ASSERT_TRUE(stream->Read(&told));
  EXPECT_EQ(told.modules(0).digest(), digest('b'));
  EXPECT_EQ(told.placement().generation(), 2U);
  EXPECT_EQ(told.placement().host_id(), "h1") << "no other host is needed for that";
  EXPECT_FALSE(told.placement().ticket().empty());
  context.TryCancel();
}

TEST_P(RolloutTest, a_version_that_fails_too_many_calls_is_taken_back) {
  open_all();
  ASSERT_TRUE(start(50).ok());
  ASSERT_TRUE(eventually([&] { return is_at(50); }));
  v1::ModuleCounts counts;
  counts.set_tenant("acme");
  counts.set_digest(digest('b'));
  counts.set_calls(100);
  counts.set_failures(5);
  host_->count(counts);
  EXPECT_TRUE(eventually([&] { return status().to().calls() == 100; }));
  EXPECT_EQ(status().state(), v1::Rollout::RUNNING);
  counts.set_calls(130);
  counts.set_failures(35);
  host_->count(counts);
  EXPECT_TRUE(eventually([&] { return status().state() == v1::Rollout::TAKEN_BACK; }));
  EXPECT_THAT(status().reason(), HasSubstr("35 of 130 calls failed"));
  EXPECT_TRUE(eventually([&] { return is_at(0); }));
  EXPECT_EQ(open().modules(0).digest(), digest('a'));
}

TEST_P(RolloutTest,
       a_version_with_other_types_or_that_no_host_can_have_is_refused_and_changes_nothing) {
  open_all();
  host_->inspect_with([](const v1::InspectModuleRequest& request, v1::InspectModuleResponse& what) {
    if (request.module().digest() == digest('c')) what.mutable_functions(0)->set_hash("2");
    if (request.module().digest() == digest('d'))
      return grpc::Status(Code::NOT_FOUND, "no such module in the repository");
    if (request.module().digest() == digest('e')) what.clear_functions();
    return grpc::Status::OK;
  });
  const auto other = start(50, 'c');
  EXPECT_EQ(other.error_code(), Code::FAILED_PRECONDITION);
  EXPECT_THAT(other.error_message(), HasSubstr("function f has other types"));
  const auto none = start(50, 'd');
  EXPECT_EQ(none.error_code(), Code::NOT_FOUND);
  EXPECT_THAT(none.error_message(), HasSubstr("no such module"));
  EXPECT_THAT(start(50, 'e').error_message(), HasSubstr("no function f"));
  EXPECT_EQ(start(50, 'b', "else").error_code(), Code::NOT_FOUND) << "nobody has such a module";
  EXPECT_EQ(start(50, 'a').error_code(), Code::INVALID_ARGUMENT) << "it is there already";
  EXPECT_EQ(start(101).error_code(), Code::INVALID_ARGUMENT);
  EXPECT_EQ(start(50, 'B').error_code(), Code::INVALID_ARGUMENT)
      << "which is another text than that of the module itself";
  EXPECT_TRUE(is_at(0));

  ASSERT_TRUE(start(50).ok());
  EXPECT_EQ(start(50, 'f').error_code(), Code::PERMISSION_DENIED) << "one at a time";
  EXPECT_TRUE(eventually([&] { return is_at(50); }));
}

TEST_P(RolloutTest, a_rollout_goes_on_when_the_manager_that_began_it_is_gone) {
  open_all();
  cluster_.stop_manager(1);
  device_ = cluster_.tenant("acme", 0);
  operator_ = cluster_.operator_(0);
  ASSERT_TRUE(start(50).ok());
  cluster_.start_manager(1);
  cluster_.stop_manager(0);
  device_ = cluster_.tenant("acme", 1);
  operator_ = cluster_.operator_(1);
  EXPECT_TRUE(eventually([&] { return is_at(50); }));
  EXPECT_EQ(status().percent_hundredths(), 5'000U);
}

TEST_P(RolloutTest, a_device_that_does_not_know_of_rollouts_keeps_what_it_asked_for) {
  const auto old = open(0);
  ids_ = {open().id()};
  ASSERT_TRUE(start(100).ok());
  EXPECT_TRUE(eventually([&] { return versions()[ids_[0]] == digest('b'); }));
  EXPECT_EQ(versions()[old.id()], digest('a'));
}

INSTANTIATE_TEST_SUITE_P(Rollouts, RolloutTest,
                         ::testing::Values(StoreKind::embedded, StoreKind::etcd),
                         [](const auto& kind) {
                           return kind.param == StoreKind::etcd ? "etcd" : "embedded";
                         });

}  // namespace
}  // namespace aloft::cluster
