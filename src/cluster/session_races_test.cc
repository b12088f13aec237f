// Many devices at several managers at once: what a host has, and what a tenant may use, is never
// exceeded, at no moment of the store's history.
#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "aloft/cluster/records.pb.h"
#include "cluster/resource_manager.h"
#include "cluster/testing/cluster_fixture.h"

namespace aloft::cluster {
namespace {

using testing::call;
using testing::Cluster;
using testing::eventually;
using testing::open_request;
using Stub = v1::OffloadManager::Stub;

constexpr int kThreads = 50;
constexpr int kManagers = 3;
constexpr int kRounds = 6;
constexpr std::uint32_t kMaxSessions = 20;                         // of the first tenant
constexpr std::uint64_t kTenantMemory = std::uint64_t{15} << 20U;  // of the second one
constexpr std::uint64_t kSessionMemory = std::uint64_t{1} << 20U;
constexpr std::uint64_t kHostMemory = 12 * kSessionMemory;

constexpr const char* kTenants = R"(
[tenants.by-count]
max_sessions = 20
memory = "1TiB"
cpu_millicores = 1000000
opens_per_second = 100000
open_burst = 100000
modules = ["*"]
allow_unsigned = true

[tenants.by-memory]
max_sessions = 1000
memory = "15MiB"
cpu_millicores = 1000000
opens_per_second = 100000
open_burst = 100000
modules = ["*"]
allow_unsigned = true
)";

// Reads every change of the sums, as the store's watch tells it.
class History {
 public:
  explicit History(Store& store) {
    auto watch_sums = [&](const char* prefix) {
      auto watch = store.watch(prefix, store.list(prefix)->revision,
                               {.on_events =
                                    [this](const std::vector<Event>& events) {
                                      for (const Event& event : events) check(event);
                                    },
                                .on_lost = [this] { lost_ = true; }});
      ASSERT_TRUE(watch);
      watches_.push_back(*std::move(watch));
    };
    watch_sums("reservations/");
    watch_sums("quotas/");
  }

  void expect_good() {
    EXPECT_FALSE(lost_);
    // A watch tells a little later.
    EXPECT_TRUE(eventually([&] {
      const std::scoped_lock lock(mutex_);
      return most_["quotas/by-count"] == kMaxSessions &&
             most_["quotas/by-memory"] == kTenantMemory / kSessionMemory;
    })) << "a quota was never reached";
    const std::scoped_lock lock(mutex_);
    EXPECT_GT(events_, 100) << "the race did not race";
    EXPECT_TRUE(wrong_.empty()) << wrong_.size() << " times, first: " << wrong_.front();
  }

 private:
  void check(const Event& event) {
    const std::scoped_lock lock(mutex_);
    ++events_;
    if (!event.value) return;
    if (event.key.starts_with("reservations/")) {
      records::ReservationRecord record;
      if (!record.ParseFromString(*event.value)) return wrong_.push_back(event.key + " is broken");
      if (!fits(record.reserved(), nullptr, record.capacity()) ||
          record.reserved().memory_bytes() != record.sessions() * kSessionMemory) {
        wrong_.push_back(event.key + ": " + record.ShortDebugString());
      }
      return;
    }
    records::QuotaRecord record;
    if (!record.ParseFromString(*event.value)) return wrong_.push_back(event.key + " is broken");
    most_[event.key] = std::max<std::uint64_t>(most_[event.key], record.sessions());
    const bool over = event.key == "quotas/by-count"
                          ? record.sessions() > kMaxSessions
                          : record.reserved().memory_bytes() > kTenantMemory;
    if (over) wrong_.push_back(event.key + ": " + record.ShortDebugString());
  }

  std::mutex mutex_;
  std::vector<std::string> wrong_;
  std::map<std::string, std::uint64_t> most_;
  int events_ = 0;
  std::atomic<bool> lost_ = false;
  std::vector<std::unique_ptr<Watch>> watches_;  // last: they use all of the above
};

// What all sessions together have is what the sums say.
void expect_sums_agree(Store& store) {
  std::map<std::string, std::uint64_t> at_host, of_tenant;
  for (const Entry& entry : store.list("sessions/")->entries) {
    records::SessionRecord session;
    ASSERT_TRUE(session.ParseFromString(entry.value));
    ++of_tenant[session.tenant()];
    if (!session.host().empty()) ++at_host[session.host()];
    if (!session.leaving_host().empty()) ++at_host[session.leaving_host()];
  }
  std::map<std::string, std::uint64_t> reserved, used;
  for (const Entry& entry : store.list("reservations/")->entries) {
    records::ReservationRecord record;
    ASSERT_TRUE(record.ParseFromString(entry.value));
    reserved[entry.key.substr(13)] = record.sessions();
  }
  for (const Entry& entry : store.list("quotas/")->entries) {
    records::QuotaRecord record;
    ASSERT_TRUE(record.ParseFromString(entry.value));
    used[entry.key.substr(7)] = record.sessions();
  }
  EXPECT_EQ(reserved, at_host);
  EXPECT_EQ(used, of_tenant);
}

class SessionRaces : public ::testing::TestWithParam<testing::StoreKind> {};
INSTANTIATE_TEST_SUITE_P(Stores, SessionRaces,
                         ::testing::Values(testing::StoreKind::embedded, testing::StoreKind::etcd),
                         [](const auto& kind) {
                           return kind.param == testing::StoreKind::etcd ? "etcd" : "embedded";
                         });

TEST_P(SessionRaces, quotas_and_capacities_are_exact_under_fifty_threads_and_three_managers) {
  Cluster cluster(
      kTenants,
      [](ManagerOptions& options) {
        options.default_memory_bytes = kSessionMemory;
        options.leaving = std::chrono::milliseconds(50);
      },
      kManagers, GetParam());
  std::vector<std::unique_ptr<testing::SimulatedHost>> hosts;
  for (const char* const id : {"h1", "h2", "h3"}) {
    hosts.push_back(cluster.host({.id = id, .memory_bytes = kHostMemory}));
  }
  History history(cluster.store());

  std::atomic<int> opened = 0, refused = 0;
  std::mutex mutex;
  std::vector<std::string> unexpected;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937 random(static_cast<unsigned>(t));
        const char* const tenant = t % 2 == 0 ? "by-count" : "by-memory";
        const auto client = cluster.tenant(tenant, static_cast<std::size_t>(t % kManagers));
        const auto note = [&](const grpc::Status& status) {
          if (status.ok() || status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) return;
          const std::scoped_lock lock(mutex);
          unexpected.push_back(status.error_message());
        };
        for (int round = 0; round < kRounds; ++round) {
          v1::Session session;
          const auto status = call(*client, &Stub::OpenSession, open_request(), session);
          note(status);
          if (!status.ok()) {
            ++refused;
            continue;
          }
          ++opened;
          if (random() % 3 == 0) {
            v1::MoveSessionRequest request;
            request.set_id(session.id());
            v1::Session moved;
            note(call(*client, &Stub::MoveSession, request, moved));
          }
          if (round + 1 == kRounds) continue;  // some stay
          v1::CloseSessionRequest request;
          request.set_id(session.id());
          v1::CloseSessionResponse response;
          note(call(*client, &Stub::CloseSession, request, response));
        }
      });
    }
  }
  EXPECT_TRUE(unexpected.empty()) << unexpected.size() << ", first: " << unexpected.front();
  EXPECT_GT(opened, 0);
  EXPECT_GT(refused, 0) << "there was room for everyone: nothing raced";
  // Moves leave their former hosts after a while; nothing else goes on by itself.
  EXPECT_TRUE(eventually([&] {
    for (const Entry& entry : cluster.store().list("sessions/")->entries) {
      records::SessionRecord session;
      if (!session.ParseFromString(entry.value) || !session.leaving_host().empty()) return false;
    }
    return true;
  }));
  expect_sums_agree(cluster.store());

  // What the race has left free can be had, exactly; at a host that did not answer in the crowd
  // after a while.
  for (const char* const tenant : {"by-count", "by-memory"}) {
    const auto client = cluster.tenant(tenant);
    grpc::Status status;
    EXPECT_TRUE(eventually([&] {
      do {
        v1::Session session;
        status = call(*client, &Stub::OpenSession, open_request(), session);
      } while (status.ok());
      return status.error_message().find("quota") != std::string::npos;
    })) << status.error_message();
  }
  expect_sums_agree(cluster.store());
  history.expect_good();
}

}  // namespace
}  // namespace aloft::cluster
