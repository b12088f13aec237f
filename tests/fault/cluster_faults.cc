#include "cluster_faults.h"

#include <algorithm>
#include <iostream>
#include <utility>

#include "test_paths.h"

namespace aloft::testing {

using namespace std::chrono_literals;

namespace {

// What is promised is 250 ms; processors that have much else to do take their time.
constexpr auto kLocalStartBound = 2s;
// What is promised is the lease and 1 s.
constexpr auto kPlacedAgainSlack = 5s;
// What is promised is none, and seen is none. Processors that have much else to do may keep a link
// silent for 200 ms, and its device goes on by itself for a few frames; what a fault does lasts for
// seconds.
constexpr std::uint64_t kHereOneIn = 100;

}  // namespace

ClusterFaults::~ClusterFaults() {
  if (!HasFailure()) return;
  if (cluster_) std::cerr << cluster_->transcript();
  if (fleet_) std::cerr << fleet_->transcript();
}

void ClusterFaults::start(ClusterLayout layout, FleetOptions fleet) {
  if (const auto missing = ClusterInNamespaces::what_is_missing()) GTEST_SKIP() << *missing;
  layout.modules.push_back(binary_dir() / "modules/ledger.wasm");
  const bool etcd = layout.etcd > 0;
  auto cluster = ClusterInNamespaces::start(folder_.path(), std::move(layout));
  ASSERT_TRUE(cluster) << cluster.error().message;
  cluster_ = std::move(*cluster);
  if (etcd) {
    auto history = StoreHistory::follow(cluster_->etcd().endpoints());
    ASSERT_TRUE(history) << history.error().message;
    history_ = std::move(*history);
  }
  auto started = Fleet::start(*cluster_, fleet);
  ASSERT_TRUE(started) << started.error().message;
  fleet_.emplace(std::move(*started));
  settle();
}

void ClusterFaults::settle() {
  const auto registered = [&] {
    if (!history_) return true;
    const auto hosts = cluster_->names('h');
    return std::ranges::all_of(hosts, [&](const auto& h) { return history_->is_registered(h); });
  };
  ASSERT_TRUE(fleet_->wait_until(registered, kPatience)) << "a host is not registered";
  ASSERT_TRUE(fleet_->wait_at_edge(20, kPatience)) << "a device is not at the edge";
}

void ClusterFaults::finish() {
  ASSERT_FALSE(std::exchange(finished_, true));
  for (const std::string& line : fleet_->finish()) ADD_FAILURE() << line;
  const FleetStory story = fleet_->story({}, fleet_->all());
  std::cout << story.frames << " frames, " << story.here << " of them on the devices themselves\n";
  if (!history_) return;
  ALOFT_ASSERT_OK(history_->catch_up(kPatience));
  for (const std::string& line : history_->violations()) ADD_FAILURE() << line;
  std::cout << history_->changes() << " changes in etcd\n";
}

void ClusterFaults::figure(const std::string& what, std::chrono::microseconds time) {
  const auto ms = std::to_string(time.count() / 1000) + " ms";
  std::cout << what << ": " << ms << "\n" << std::flush;
  std::string name = what;
  std::ranges::replace(name, ' ', '_');
  RecordProperty(name, ms);
}

void ClusterFaults::expect_unnoticed(Clock::time_point since, const std::set<std::size_t>& by) {
  const FleetStory story = fleet_->story(since, by);
  EXPECT_GT(story.frames, 0U);
  if (story.here > 0)
    std::cout << story.here << " of " << story.frames << " frames were made on the devices\n";
  EXPECT_LE(story.here, story.frames / kHereOneIn) << "of " << story.frames << " frames";
}

void ClusterFaults::expect_local_start(Clock::time_point fault, const std::set<std::size_t>& on,
                                       const std::string& what) {
  ASSERT_FALSE(on.empty()) << "nobody to notice it";
  std::chrono::microseconds longest{};
  for (const std::size_t device : on) {
    ASSERT_TRUE(fleet_->wait_until([&] { return fleet_->local_start(device, fault).has_value(); },
                                   kPatience))
        << "device " << device << " never goes on by itself";
    longest = std::max(longest, *fleet_->local_start(device, fault));
  }
  figure(what + ": local execution starts within", longest);
  EXPECT_LT(longest, kLocalStartBound);
}

void ClusterFaults::expect_placed_again(const std::string& host, Clock::time_point fault) {
  const auto sessions = history_->sessions_at(host, fault);
  ASSERT_FALSE(sessions.empty());
  std::chrono::microseconds longest{};
  for (const std::string& session : sessions) {
    ASSERT_TRUE(fleet_->wait_until(
        [&] { return history_->moved_from(host, session, fault).has_value(); }, kPatience))
        << "session " << session << " is not placed again";
    longest = std::max(longest, std::chrono::duration_cast<std::chrono::microseconds>(
                                    *history_->moved_from(host, session, fault) - fault));
  }
  figure("sessions of " + host + " are placed again within", longest);
  EXPECT_LT(longest, kLease + 1s + kPlacedAgainSlack);
}

}  // namespace aloft::testing
