// What every store promises, embedded or etcd: one body of tests on both.
#include "cluster/store.h"

#include <atomic>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/embedded_store.h"
#include "cluster/etcd_store.h"
#include "cluster/testing/watch_recorder.h"
#include "support/etcd.h"
#include "support/temp_dir.h"

namespace aloft::cluster {
namespace {

using namespace std::chrono_literals;
using aloft::testing::EtcdCluster;
using aloft::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::kLimit;
using testing::WatchRecorder;
using Clock = std::chrono::steady_clock;

enum class Kind { embedded, etcd };

class StoreTest : public ::testing::TestWithParam<Kind> {
 protected:
  // One etcd serves all tests, each under a prefix of its own.
  static void SetUpTestSuite() {
    folder = new TempDir;
    auto started = EtcdCluster::start(folder->path());
    ASSERT_TRUE(started) << started.error().message;
    etcd = new EtcdCluster(std::move(*started));
  }
  static void TearDownTestSuite() {
    delete etcd;
    delete folder;
  }

  void SetUp() override {
    Result<std::unique_ptr<Store>> opened;
    if (GetParam() == Kind::embedded) {
      opened = EmbeddedStore::open(own_folder / "state.db", {.timeout = kLimit});
    } else {
      ASSERT_NE(etcd, nullptr);
      static int number = 0;
      opened = EtcdStore::open({.endpoints = etcd->endpoints(),
                                .prefix = "aloft/test" + std::to_string(++number) + "/",
                                .timeout = kLimit});
    }
    ASSERT_TRUE(opened) << opened.error().message;
    store = std::move(*opened);
  }

  Committed must_commit(const Transaction& transaction) const {
    const auto done = store->commit(transaction);
    EXPECT_TRUE(done) << done.error().message;
    return done.value_or(Committed{});
  }
  Committed put(const std::string& key, const std::string& value, LeaseId lease = 0) const {
    const Committed done =
        must_commit({.conditions = {}, .changes = {{.key = key, .value = value, .lease = lease}}});
    EXPECT_TRUE(done.succeeded);
    return done;
  }
  Committed remove(const std::string& key) const {
    return must_commit({.conditions = {}, .changes = {{.key = key, .value = std::nullopt}}});
  }
  // The value of a key, or "(none)".
  std::string value(const std::string& key) const {
    const auto entry = store->get(key);
    EXPECT_TRUE(entry) << entry.error().message;
    return entry && *entry ? (*entry)->value : "(none)";
  }
  Snapshot list(const std::string& prefix) const {
    auto snapshot = store->list(prefix);
    EXPECT_TRUE(snapshot) << snapshot.error().message;
    return snapshot.value_or(Snapshot{});
  }
  LeaseId grant(std::chrono::seconds ttl) const {
    const auto lease = store->grant_lease(ttl);
    EXPECT_TRUE(lease) << lease.error().message;
    return lease.value_or(0);
  }
  std::unique_ptr<Watch> watch(const std::string& prefix, Revision since,
                               WatchRecorder& recorder) const {
    auto watching = store->watch(prefix, since, recorder.calls());
    EXPECT_TRUE(watching) << watching.error().message;
    return watching ? std::move(*watching) : nullptr;
  }

  static inline TempDir* folder = nullptr;
  static inline EtcdCluster* etcd = nullptr;
  const TempDir own_folder;
  std::unique_ptr<Store> store;
};

INSTANTIATE_TEST_SUITE_P(Stores, StoreTest, ::testing::Values(Kind::embedded, Kind::etcd),
                         [](const auto& kind) {
                           return kind.param == Kind::embedded ? "embedded" : "etcd";
                         });

TEST_P(StoreTest, what_was_committed_is_read_back_byte_by_byte) {
  const std::string bytes("\0\xff\n\0", 4);
  const Committed done = put("sessions/a", bytes);
  put("sessions/empty", "");
  const auto entry = store->get("sessions/a");
  ASSERT_TRUE(entry && *entry);
  EXPECT_EQ((*entry)->key, "sessions/a");
  EXPECT_EQ((*entry)->value, bytes);
  EXPECT_EQ((*entry)->revision, done.revision);
  EXPECT_EQ(value("sessions/empty"), "");
  EXPECT_EQ(value("sessions"), "(none)");
  EXPECT_GT(put("sessions/a", "again").revision, done.revision);
}

TEST_P(StoreTest, a_key_is_made_once_by_whoever_believes_that_it_is_not_there) {
  const Transaction make{.conditions = {{.key = "k", .revision = 0}},
                         .changes = {{.key = "k", .value = "mine"}}};
  EXPECT_TRUE(must_commit(make).succeeded);
  const Committed again = must_commit(make);
  EXPECT_FALSE(again.succeeded);
  EXPECT_GT(again.revision, 0U);
  EXPECT_TRUE(remove("k").succeeded);
  EXPECT_TRUE(must_commit(make).succeeded);
}

TEST_P(StoreTest, a_transaction_changes_all_or_nothing) {
  const Revision a = put("a", "1").revision;
  const Revision b = put("b", "1").revision;
  Transaction both{.conditions = {{.key = "a", .revision = a}, {.key = "b", .revision = a}},
                   .changes = {{.key = "a", .value = "2"},
                               {.key = "b", .value = std::nullopt},
                               {.key = "c", .value = "2"}}};
  EXPECT_FALSE(must_commit(both).succeeded);
  EXPECT_EQ(value("a") + value("b") + value("c"), "11(none)");
  both.conditions[1].revision = b;
  const Committed done = must_commit(both);
  EXPECT_TRUE(done.succeeded);
  EXPECT_EQ(value("a") + value("b") + value("c"), "2(none)2");
  EXPECT_EQ((*store->get("a"))->revision, done.revision);
  EXPECT_EQ((*store->get("c"))->revision, done.revision);
}

TEST_P(StoreTest, a_transaction_that_fails_says_what_its_conditions_keys_have) {
  const Revision a = put("a", "1").revision;
  const Revision b = put("b", "2").revision;
  put("c", "3");
  for (const bool changes : {true, false}) {
    Transaction wrong{.conditions = {{.key = "a", .revision = a},
                                     {.key = "b", .revision = a},
                                     {.key = "not there", .revision = b}},
                      .changes = {}};
    if (changes) wrong.changes.push_back({.key = "a", .value = "lost"});
    const Committed done = must_commit(wrong);
    EXPECT_FALSE(done.succeeded);
    EXPECT_GE(done.revision, b);
    ASSERT_EQ(done.found.size(), 2U);
    EXPECT_EQ(done.found[0].key + done.found[0].value, "a1");
    EXPECT_EQ(done.found[0].revision, a);
    EXPECT_EQ(done.found[1].key + done.found[1].value, "b2");
    EXPECT_EQ(done.found[1].revision, b);
  }
  EXPECT_TRUE(put("a", "4").found.empty());
}

TEST_P(StoreTest, a_transaction_that_changes_nothing_succeeds_by_its_conditions) {
  const Revision now = put("a", "1").revision;
  EXPECT_TRUE(
      must_commit({.conditions = {{.key = "a", .revision = now}}, .changes = {}}).succeeded);
  EXPECT_FALSE(must_commit({.conditions = {{.key = "a", .revision = 0}}, .changes = {}}).succeeded);
  const Committed gone = remove("never there");
  EXPECT_TRUE(gone.succeeded);
  EXPECT_EQ(gone.revision, now);
}

TEST_P(StoreTest, of_many_that_count_at_a_time_no_count_is_lost) {
  constexpr int kThreads = 8, kEach = 20;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int counted = 0; counted < kEach;) {
        const auto entry = store->get("count");
        ASSERT_TRUE(entry) << entry.error().message;
        const int count = *entry ? std::stoi((*entry)->value) : 0;
        const auto done = store->commit(
            {.conditions = {{.key = "count", .revision = *entry ? (*entry)->revision : 0}},
             .changes = {{.key = "count", .value = std::to_string(count + 1)}}});
        ASSERT_TRUE(done) << done.error().message;
        if (done->succeeded) ++counted;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(value("count"), std::to_string(kThreads * kEach));
}

TEST_P(StoreTest, a_list_has_all_keys_of_a_prefix_in_order) {
  // More than etcd is asked for at once.
  constexpr int kCount = 4'500;
  for (int i = 0; i < kCount;) {
    Transaction next;
    for (; next.changes.size() < kMaxChanges && i < kCount; ++i)
      next.changes.push_back({.key = "s/" + std::to_string(100'000 + i), .value = "v"});
    ASSERT_TRUE(must_commit(next).succeeded);
  }
  put("s", "before");
  put("s\x01", "before");
  put("t", "after");
  put("\xff\xff/a", "last");
  const Revision last = put("s0", "after").revision;

  const Snapshot found = list("s/");
  ASSERT_EQ(found.entries.size(), static_cast<std::size_t>(kCount));
  EXPECT_EQ(found.revision, last);
  for (int i = 0; i < kCount; ++i)
    ASSERT_EQ(found.entries[static_cast<std::size_t>(i)].key, "s/" + std::to_string(100'000 + i));
  EXPECT_EQ(list("\xff").entries.size(), 1U);
  EXPECT_EQ(list("s/nothing").entries.size(), 0U);
  EXPECT_EQ(list("").entries.size(), static_cast<std::size_t>(kCount) + 5);
}

TEST_P(StoreTest, bad_transactions_are_refused_with_what_is_wrong) {
  const auto error_of = [&](const Transaction& transaction) {
    const auto done = store->commit(transaction);
    EXPECT_FALSE(done);
    if (done) return std::string();
    EXPECT_EQ(done.error().code, Errc::invalid_argument);
    return done.error().message;
  };
  EXPECT_THAT(error_of({.conditions = {}, .changes = {{.key = "", .value = "x"}}}),
              HasSubstr("empty"));
  EXPECT_THAT(
      error_of({.conditions = {{.key = std::string(513, 'k'), .revision = 0}}, .changes = {}}),
      HasSubstr("513"));
  EXPECT_THAT(error_of({.conditions = {},
                        .changes = {{.key = "k", .value = "1"}, {.key = "k", .value = "2"}}}),
              HasSubstr("twice"));
  EXPECT_THAT(
      error_of({.conditions = {}, .changes = {{.key = "k", .value = std::string(1 << 20, 'v')}}}),
      HasSubstr("limit"));
  Transaction long_one;
  for (int i = 0; i < 65; ++i)
    long_one.changes.push_back({.key = std::to_string(i), .value = std::nullopt});
  EXPECT_THAT(error_of(long_one), HasSubstr("64"));
  EXPECT_EQ(list("").entries.size(), 0U);
}

TEST_P(StoreTest, a_lease_that_is_not_kept_alive_takes_its_keys_with_it) {
  WatchRecorder recorder;
  const Revision start = put("hosts/other", "stays").revision;
  const auto watching = watch("hosts/", start, recorder);
  const LeaseId lease = grant(2s);
  put("hosts/a", "1", lease);
  put("hosts/b", "1", lease);
  put("hosts/b", "2");  // without the lease now

  // Kept alive for longer than it lasts by itself.
  const auto kept_until = Clock::now() + 3s;
  auto last = Clock::now();
  while (Clock::now() < kept_until) {
    std::this_thread::sleep_for(200ms);
    last = Clock::now();
    ASSERT_TRUE(store->keep_alive(lease));
  }
  EXPECT_EQ(value("hosts/a"), "1");

  ASSERT_TRUE(recorder.wait_for("hosts/a", std::nullopt));
  const auto lasted = Clock::now() - last;
  EXPECT_GE(lasted, 2s);
  EXPECT_LT(lasted, 2s + 3s);  // two more than promised, for a busy machine
  EXPECT_EQ(value("hosts/a"), "(none)");
  EXPECT_EQ(value("hosts/b"), "2");
  EXPECT_EQ(value("hosts/other"), "stays");
  const auto kept = store->keep_alive(lease);
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().code, Errc::not_found);
}

TEST_P(StoreTest, a_revoked_lease_is_of_no_use_any_more) {
  const LeaseId lease = grant(600s);
  Transaction many;
  for (int i = 0; i < 20; ++i)
    many.changes.push_back({.key = "h/" + std::to_string(i), .value = "1", .lease = lease});
  const Revision put_at = must_commit(many).revision;
  WatchRecorder recorder;
  const auto watching = watch("h/", put_at, recorder);
  EXPECT_TRUE(store->revoke_lease(lease));
  EXPECT_EQ(list("h/").entries.size(), 0U);
  ASSERT_TRUE(recorder.wait_for_events(20));
  std::set<Revision> revisions;
  for (const Event& event : recorder.events()) {
    EXPECT_FALSE(event.value);
    revisions.insert(event.revision);
  }
  EXPECT_EQ(revisions.size(), 1U);

  EXPECT_TRUE(store->revoke_lease(lease));
  EXPECT_EQ(store->keep_alive(lease).error().code, Errc::not_found);
  const auto late = store->commit(
      {.conditions = {},
       .changes = {{.key = "h/x", .value = "1"}, {.key = "h/y", .value = "1", .lease = lease}}});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::not_found);
  EXPECT_EQ(list("h/").entries.size(), 0U);
}

TEST_P(StoreTest, a_watch_tells_all_since_its_revision_in_order) {
  put("w/before", "0");
  const Revision since = list("w/").revision;
  put("w/a", "1");
  put("other", "1");
  WatchRecorder recorder;
  const auto watching = watch("w/", since, recorder);
  put("w/b", "2");
  must_commit({.conditions = {},
               .changes = {{.key = "w/a", .value = std::nullopt},
                           {.key = "w/b", .value = "3"},
                           {.key = "w/never", .value = std::nullopt}}});
  put("w", "not of the prefix");
  put("w/end", "");
  ASSERT_TRUE(recorder.wait_for_events(5));
  std::vector<std::string> told;
  Revision last = since;
  for (const Event& event : recorder.events()) {
    told.push_back(event.key + "=" + event.value.value_or("(none)"));
    EXPECT_GE(event.revision, last);
    last = event.revision;
  }
  EXPECT_THAT(told, ElementsAre("w/a=1", "w/b=2", "w/a=(none)", "w/b=3", "w/end="));
  for (const auto& call : recorder.by_call()) {
    // The first of two of one revision never ends a call.
    EXPECT_FALSE(call.back().key == "w/a" && !call.back().value) << "a revision came in pieces";
  }
}

TEST_P(StoreTest, watches_see_what_many_threads_commit_exactly_once) {
  constexpr int kThreads = 4, kEach = 100;
  WatchRecorder first, second;
  const auto one = watch("m/", 0, first);
  const auto two = watch("m/1", 0, second);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < kEach; ++i) put("m/" + std::to_string(t), std::to_string(i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  put("m/end", "");
  put("m/1end", "");
  ASSERT_TRUE(first.wait_for("m/1end", ""));
  ASSERT_TRUE(second.wait_for("m/1end", ""));
  EXPECT_EQ(first.events().size(), static_cast<std::size_t>(kThreads * kEach + 2));
  ASSERT_EQ(second.events().size(), static_cast<std::size_t>(kEach + 1));
  for (int i = 0; i < kEach; ++i)
    EXPECT_EQ(second.events()[static_cast<std::size_t>(i)].value, std::to_string(i));
}

TEST_P(StoreTest, a_watch_may_use_the_store_and_drop_itself) {
  std::unique_ptr<Watch> watching;
  std::atomic<int> calls{0};
  std::promise<std::string> told;
  std::promise<void> assigned;
  auto ready = assigned.get_future().share();
  auto made = store->watch("k", 0,
                           {.on_events =
                                [&, ready](const std::vector<Event>&) {
                                  ready.wait();
                                  if (++calls > 1) return;
                                  const auto entry = store->get("k");
                                  watching = nullptr;
                                  told.set_value(entry && *entry ? (*entry)->value : "(none)");
                                },
                            .on_lost = [] {}});
  ASSERT_TRUE(made);
  watching = std::move(*made);
  assigned.set_value();
  put("k", "1");
  auto heard = told.get_future();
  ASSERT_EQ(heard.wait_for(kLimit), std::future_status::ready);
  EXPECT_EQ(heard.get(), "1");
  // A later watch hears of a later change; the dropped one must not have.
  WatchRecorder recorder;
  const auto later = watch("k", 0, recorder);
  put("k", "2");
  ASSERT_TRUE(recorder.wait_for("k", "2"));
  EXPECT_EQ(calls, 1);
}

TEST_P(StoreTest, dropping_a_watch_waits_for_its_call) {
  std::promise<void> begun;
  std::atomic<bool> done{false};
  auto watching = store->watch("k", 0,
                               {.on_events =
                                    [&](const std::vector<Event>&) {
                                      begun.set_value();
                                      std::this_thread::sleep_for(50ms);
                                      done = true;
                                    },
                                .on_lost = [] {}});
  ASSERT_TRUE(watching);
  put("k", "1");
  ASSERT_EQ(begun.get_future().wait_for(kLimit), std::future_status::ready);
  watching->reset();
  EXPECT_TRUE(done);
}

TEST_P(StoreTest, a_watch_from_a_revision_that_this_store_never_had_is_lost) {
  const Revision now = put("k", "1").revision;
  WatchRecorder recorder;
  const auto watching = watch("k", now + 1'000'000, recorder);
  EXPECT_TRUE(recorder.wait_lost());
  EXPECT_EQ(recorder.events().size(), 0U);
}

}  // namespace
}  // namespace aloft::cluster
