// The store on an etcd of three members that are killed, stopped and started again, and on one that
// is full or behind TLS.
#include "cluster/etcd_store.h"

#include <atomic>
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "channel/testing/certificates.h"
#include "cluster/testing/watch_recorder.h"
#include "support/etcd.h"
#include "support/temp_dir.h"

namespace aloft::cluster {
namespace {

using namespace std::chrono_literals;
using aloft::testing::EtcdCluster;
using aloft::testing::TempDir;
using ::testing::HasSubstr;
using testing::kLimit;
using testing::WatchRecorder;
using Clock = std::chrono::steady_clock;

std::unique_ptr<Store> must_open(EtcdOptions options) {
  auto opened = EtcdStore::open(std::move(options));
  EXPECT_TRUE(opened) << opened.error().message;
  return opened ? std::move(*opened) : nullptr;
}

Transaction put(std::string key, std::string value) {
  return {.conditions = {}, .changes = {{.key = std::move(key), .value = std::move(value)}}};
}

// Tries until it is done, as a manager does; the answer is how long that took.
Clock::duration put_in_the_end(Store& store, const std::string& key, const std::string& value) {
  const auto begun = Clock::now();
  while (Clock::now() - begun < kLimit) {
    const auto done = store.commit(put(key, value));
    if (done) return Clock::now() - begun;
    EXPECT_EQ(done.error().code, Errc::unreachable) << done.error().message;
  }
  ADD_FAILURE() << "never committed: " << key;
  return kLimit;
}

// Counts up in one key until it is told to stop; each count must have been read as the one before.
class Counting {
 public:
  explicit Counting(Store& store) : thread_([this, &store] { run(store); }) {}
  Counting(const Counting&) = delete;
  Counting& operator=(const Counting&) = delete;
  ~Counting() { stop(); }

  // Until so many more counts were made.
  [[nodiscard]] bool wait_for(int more) const {
    const int until = counted_ + more;
    const auto end = Clock::now() + kLimit;
    while (counted_ < until && Clock::now() < end) std::this_thread::sleep_for(5ms);
    return counted_ >= until;
  }
  int stop() {
    ending_ = true;
    if (thread_.joinable()) thread_.join();
    return counted_;
  }

 private:
  void run(Store& store) {
    while (!ending_) {
      const auto entry = store.get("count");
      if (!entry) continue;
      const int count = *entry ? std::stoi((*entry)->value) : 0;
      EXPECT_GE(count, counted_.load()) << "an acknowledged count is gone";
      counted_ = count;
      static_cast<void>(store.commit(
          {.conditions = {{.key = "count", .revision = *entry ? (*entry)->revision : 0}},
           .changes = {{.key = "count", .value = std::to_string(count + 1)}}}));
    }
  }

  std::atomic<int> counted_{0};
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

class EtcdFaultTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = EtcdCluster::start(folder.path(), {.members = 3});
    ASSERT_TRUE(started) << started.error().message;
    etcd = std::make_unique<EtcdCluster>(std::move(*started));
    store = must_open({.endpoints = etcd->endpoints(), .prefix = "aloft/x/", .timeout = 3s});
  }
  void TearDown() override {
    if (HasFailure() && etcd) std::cerr << etcd->transcript();
  }
  // Each value of `key` once, in order, without a gap.
  static void expect_counted(const WatchRecorder& recorder, int count) {
    int last = 0;
    for (const Event& event : recorder.events()) {
      if (event.key != "count") continue;
      ASSERT_EQ(std::stoi(event.value.value_or("0")), last + 1);
      ++last;
    }
    EXPECT_EQ(last, count);
  }

  const TempDir folder;
  std::unique_ptr<EtcdCluster> etcd;
  std::unique_ptr<Store> store;
};

TEST_F(EtcdFaultTest, a_leader_that_is_killed_takes_nothing_with_it_and_watches_miss_nothing) {
  WatchRecorder recorder;
  const auto watching = store->watch("", store->list("")->revision, recorder.calls());
  ASSERT_TRUE(watching);
  Counting counting(*store);
  ASSERT_TRUE(counting.wait_for(20));
  for (int round = 0; round < 2; ++round) {
    const auto leader = etcd->leader(kLimit);
    ASSERT_TRUE(leader);
    etcd->kill(*leader);
    ASSERT_TRUE(counting.wait_for(20));
    ASSERT_TRUE(etcd->restart(*leader));
    ASSERT_TRUE(counting.wait_for(20));
  }
  counting.stop();
  put_in_the_end(*store, "end", "");
  ASSERT_TRUE(recorder.wait_for("end", ""));
  expect_counted(recorder, std::stoi((*store->get("count"))->value));
}

TEST_F(EtcdFaultTest, without_a_majority_calls_fail_in_time_and_all_goes_on_once_it_is_back) {
  WatchRecorder recorder;
  const Revision since = store->list("")->revision;
  const auto watching = store->watch("", since, recorder.calls());
  put_in_the_end(*store, "before", "1");
  ASSERT_TRUE(recorder.wait_for("before", "1"));
  const auto lease = store->grant_lease(600s);
  ASSERT_TRUE(lease);

  const std::size_t leader = etcd->leader(kLimit).value_or(0);
  const std::size_t other = (leader + 1) % 3;
  etcd->kill(leader);
  etcd->kill(other);
  const auto begun = Clock::now();
  const auto done = store->commit(put("lost", "1"));
  const auto read = store->get("before");
  const auto kept = store->keep_alive(*lease);
  ASSERT_FALSE(done);
  ASSERT_FALSE(read);
  ASSERT_FALSE(kept);
  EXPECT_EQ(done.error().code, Errc::unreachable);
  EXPECT_EQ(read.error().code, Errc::unreachable);
  EXPECT_EQ(kept.error().code, Errc::unreachable);
  EXPECT_LT(Clock::now() - begun, 3 * 3s + 5s);

  ASSERT_TRUE(etcd->restart(other));
  put_in_the_end(*store, "after", "1");
  EXPECT_TRUE(recorder.wait_for("after", "1"));
  EXPECT_TRUE(store->keep_alive(*lease));
}

TEST_F(EtcdFaultTest, a_member_that_falls_silent_is_left_for_another) {
  // The store uses the first one at first; the others keep a majority.
  put_in_the_end(*store, "a", "1");
  WatchRecorder recorder;
  const auto watching = store->watch("a", store->list("")->revision, recorder.calls());
  etcd->stop(0);
  const auto begun = Clock::now();
  Result<std::optional<Entry>> read;
  do read = store->get("a");
  while (!read && Clock::now() - begun < kLimit);
  ASSERT_TRUE(read && *read);
  EXPECT_LT(put_in_the_end(*store, "a", "2"), kLimit / 2);
  EXPECT_TRUE(store->get("a"));
  EXPECT_TRUE(recorder.wait_for("a", "2"));
  etcd->resume(0);
  put_in_the_end(*store, "a", "3");
}

TEST_F(EtcdFaultTest, a_watch_from_a_forgotten_revision_is_lost_and_a_list_goes_on) {
  const Revision first = store->commit(put("k", "1"))->revision;
  Revision last = 0;
  for (int i = 0; i < 10; ++i) last = store->commit(put("k", std::to_string(i)))->revision;
  const auto compacted = etcd->compact(last);
  ASSERT_TRUE(compacted) << compacted.error().message;
  WatchRecorder behind, current;
  const auto lost = store->watch("k", first, behind.calls());
  EXPECT_TRUE(behind.wait_lost());
  const auto kept = store->watch("k", store->list("k")->revision, current.calls());
  put_in_the_end(*store, "k", "end");
  EXPECT_TRUE(current.wait_for("k", "end"));
}

TEST(EtcdStore, a_full_database_is_told_and_reading_goes_on) {
  const TempDir folder;
  auto etcd = EtcdCluster::start(folder.path(), {.quota_bytes = 1 << 20});
  ASSERT_TRUE(etcd) << etcd.error().message;
  const auto store =
      must_open({.endpoints = etcd->endpoints(), .prefix = "aloft/x/", .timeout = kLimit});
  ASSERT_TRUE(store->commit(put("a", "1")));
  Result<Committed> done;
  for (int i = 0; i < 100; ++i) {
    done = store->commit(put("big", std::string(100'000, static_cast<char>('a' + i % 26))));
    if (!done) break;
  }
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::resource_exhausted) << done.error().message;
  EXPECT_THAT(done.error().message, HasSubstr("compact"));
  EXPECT_EQ((*store->get("a"))->value, "1");
}

TEST(EtcdStore, over_tls_both_ends_show_who_they_are) {
  const TempDir folder;
  const channel::testing::Authority authority(folder.path());
  const channel::TlsFiles server = authority.issue("127.0.0.1", "server");
  const channel::TlsFiles client = authority.issue("127.0.0.1", "client");
  auto etcd = EtcdCluster::start(
      folder / "data",
      {.certificate = server.certificate, .key = server.key, .authority = server.authority});
  ASSERT_TRUE(etcd) << etcd.error().message;
  const auto store = must_open({.endpoints = etcd->endpoints(),
                                .authority = client.authority,
                                .certificate = client.certificate,
                                .key = client.key,
                                .prefix = "aloft/x/",
                                .timeout = kLimit});
  put_in_the_end(*store, "a", "1");
  EXPECT_EQ((*store->get("a"))->value, "1");
  EXPECT_TRUE(store->keep_alive(*store->grant_lease(10s)));

  const auto stranger =
      must_open({.endpoints = etcd->endpoints(), .authority = client.authority, .timeout = 2s});
  const auto refused = stranger->get("a");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unreachable);
  const auto in_clear = must_open({.endpoints = etcd->endpoints(), .timeout = 2s});
  EXPECT_FALSE(in_clear->get("a"));
}

TEST(EtcdStore, what_cannot_be_reached_is_told_with_its_addresses) {
  const auto store = must_open({.endpoints = {"127.0.0.1:1", "127.0.0.1:2"}, .timeout = 300ms});
  const auto begun = Clock::now();
  const auto done = store->commit(put("a", "1"));
  EXPECT_LT(Clock::now() - begun, 5s);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::unreachable);
  EXPECT_THAT(done.error().message, HasSubstr("127.0.0.1:1, 127.0.0.1:2"));
}

TEST(EtcdStore, options_that_cannot_work_are_refused_when_it_is_opened) {
  const auto code_of = [](EtcdOptions options) {
    const auto opened = EtcdStore::open(std::move(options));
    EXPECT_FALSE(opened);
    return opened ? Errc::internal : opened.error().code;
  };
  EXPECT_EQ(code_of({}), Errc::invalid_argument);
  EXPECT_EQ(code_of({.endpoints = {"http://127.0.0.1:2379"}}), Errc::invalid_argument);
  EXPECT_EQ(code_of({.endpoints = {"a:1"}, .authority = "a.pem", .certificate = "b.pem"}),
            Errc::invalid_argument);
  EXPECT_EQ(code_of({.endpoints = {"a:1"}, .authority = "not/there.pem"}), Errc::not_found);
}

}  // namespace
}  // namespace aloft::cluster
