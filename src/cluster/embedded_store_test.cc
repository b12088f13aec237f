// The embedded store alone: its file outlives kill -9, belongs to one process, may be damaged or
// have no room; time that jumps; watches that are too slow.
#include "cluster/embedded_store.h"

#include <atomic>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cluster/store_file.h"
#include "cluster/testing/watch_recorder.h"
#include "support/temp_dir.h"

namespace aloft::cluster {
namespace {

using namespace std::chrono_literals;
using aloft::testing::TempDir;
using ::testing::HasSubstr;
using testing::kLimit;
using testing::WatchRecorder;

EmbeddedOptions patient() { return {.timeout = kLimit}; }

std::unique_ptr<Store> must_open(const std::filesystem::path& file,
                                 EmbeddedOptions options = patient()) {
  auto opened = EmbeddedStore::open(file, std::move(options));
  EXPECT_TRUE(opened) << opened.error().message;
  return opened ? std::move(*opened) : nullptr;
}

Error open_error(const std::filesystem::path& file) {
  const auto opened = EmbeddedStore::open(file);
  EXPECT_FALSE(opened);
  return opened ? Error{} : opened.error();
}

Transaction put(std::string key, std::string value, LeaseId lease = 0) {
  return {.conditions = {},
          .changes = {{.key = std::move(key), .value = std::move(value), .lease = lease}}};
}

class EmbeddedStoreKilled : public ::testing::TestWithParam<Survives> {};
INSTANTIATE_TEST_SUITE_P(Survives, EmbeddedStoreKilled,
                         ::testing::Values(Survives::power_cut, Survives::kill),
                         [](const auto& survives) {
                           return survives.param == Survives::kill ? "kill" : "power_cut";
                         });

TEST_P(EmbeddedStoreKilled, what_was_acknowledged_is_there_and_no_transaction_is_half_there) {
  EmbeddedOptions options = patient();
  options.survives = GetParam();
  const TempDir folder;
  const auto file = folder / "state.db";
  int acknowledged = 0;
  for (int round = 0; round < 6; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      auto opened = EmbeddedStore::open(file, options);
      if (!opened) ::_exit(1);
      for (int i = acknowledged + 1;; ++i) {
        const std::string count = std::to_string(i);
        const auto done =
            (*opened)->commit({.conditions = {},
                               .changes = {{.key = "a", .value = count},
                                           {.key = "b", .value = count + std::string(20'000, ' ')},
                                           {.key = "item/" + count, .value = count}}});
        if (!done || ::write(ends[1], &i, sizeof i) != sizeof i) ::_exit(2);
      }
    }
    ::close(ends[1]);
    // At some moment of the 10th to 60th commit.
    int seen = 0;
    for (int i = 0; i < 10 + 10 * round; ++i)
      ASSERT_EQ(::read(ends[0], &seen, sizeof seen), static_cast<ssize_t>(sizeof seen));
    ::kill(child, SIGKILL);
    while (::read(ends[0], &seen, sizeof seen) == static_cast<ssize_t>(sizeof seen)) {
    }
    ::close(ends[0]);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);

    const auto store = must_open(file, options);
    ASSERT_TRUE(store);
    const int a = std::stoi((*store->get("a"))->value);
    EXPECT_GE(a, seen);
    EXPECT_LE(a, seen + 1);
    EXPECT_EQ(std::stoi((*store->get("b"))->value), a);
    const Snapshot all = *store->list("item/");
    EXPECT_EQ(all.entries.size(), static_cast<std::size_t>(a));
    EXPECT_EQ(all.revision, static_cast<Revision>(a));
    acknowledged = a;
  }
}

TEST(EmbeddedStore, its_file_is_one_process_s_alone) {
  const TempDir folder;
  auto store = must_open(folder / "state.db");
  ASSERT_TRUE(store);
  const Error error = open_error(folder / "state.db");
  EXPECT_EQ(error.code, Errc::refused);
  EXPECT_THAT(error.message, HasSubstr("in use by process " + std::to_string(::getpid())));
  EXPECT_THAT(error.message, HasSubstr("etcd"));
  struct stat status{};
  ASSERT_EQ(::stat((folder / "state.db").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  store.reset();
  EXPECT_TRUE(must_open(folder / "state.db"));
}

TEST(EmbeddedStore, a_file_that_is_none_is_told_by_its_name) {
  const TempDir folder;
  const Error nowhere = open_error(folder / "none" / "state.db");
  EXPECT_EQ(nowhere.code, Errc::not_found);
  EXPECT_THAT(nowhere.message, HasSubstr("none/state.db"));

  std::ofstream(folder / "text.db") << std::string(10'000, 'x');
  const Error text = open_error(folder / "text.db");
  EXPECT_EQ(text.code, Errc::corrupt);
  EXPECT_THAT(text.message, HasSubstr("text.db"));

  const auto make = [&](const char* name, const char* sql) {
    sqlite3* database = nullptr;
    EXPECT_EQ(sqlite3_open((folder / name).c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
  };
  make("other.db", "CREATE TABLE songs(name)");
  EXPECT_EQ(open_error(folder / "other.db").code, Errc::corrupt);

  ASSERT_TRUE(must_open(folder / "newer.db"));
  make("newer.db", "PRAGMA user_version = 2");
  const Error newer = open_error(folder / "newer.db");
  EXPECT_EQ(newer.code, Errc::version_mismatch);
  EXPECT_THAT(newer.message, HasSubstr("version 2"));
}

TEST(EmbeddedStore, a_file_with_damaged_pages_is_refused) {
  const TempDir folder;
  {
    const auto store = must_open(folder / "state.db");
    for (int i = 0; i < 200; ++i)
      ASSERT_TRUE(store->commit(put("key" + std::to_string(i), std::string(500, 'v'))));
  }
  {
    std::fstream file(folder / "state.db", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4 * 4096);
    file << std::string(3 * 4096, '\x5a');
  }
  EXPECT_EQ(open_error(folder / "state.db").code, Errc::corrupt);
}

TEST(EmbeddedStore, opened_again_it_goes_on_from_its_revision_and_old_watches_are_lost) {
  const TempDir folder;
  Revision before = 0;
  {
    const auto store = must_open(folder / "state.db");
    before = store->commit(put("a", "1"))->revision;
    before = store->commit(put("a", "2"))->revision;
  }
  const auto store = must_open(folder / "state.db");
  EXPECT_EQ((*store->get("a"))->revision, before);
  WatchRecorder behind, current;
  const auto lost = store->watch("", before - 1, behind.calls());
  const auto kept = store->watch("", before, current.calls());
  EXPECT_TRUE(behind.wait_lost());
  EXPECT_EQ(store->commit(put("a", "3"))->revision, before + 1);
  EXPECT_TRUE(current.wait_for("a", "3"));
}

// A clock that a test moves.
struct TestClock {
  std::shared_ptr<std::atomic<std::int64_t>> seconds =
      std::make_shared<std::atomic<std::int64_t>>(1'000);
  BootClockSource source() const {
    return [seconds = seconds] {
      return BootClock::time_point(std::chrono::seconds(seconds->load()));
    };
  }
};

TEST(EmbeddedStore, a_machine_that_slept_finds_the_leases_of_that_time_ended) {
  const TempDir folder;
  const TestClock clock;
  const auto store = must_open(folder / "state.db", {.timeout = kLimit, .clock = clock.source()});
  const LeaseId lease = *store->grant_lease(3600s);
  const LeaseId longer = *store->grant_lease(7200s);
  ASSERT_TRUE(store->commit(put("h/a", "1", lease)));
  ASSERT_TRUE(store->commit(put("h/b", "1", longer)));
  WatchRecorder recorder;
  const auto watching = store->watch("h/", store->list("")->revision, recorder.calls());
  *clock.seconds += 3'599;
  EXPECT_TRUE(store->keep_alive(longer));
  *clock.seconds += 1;
  EXPECT_TRUE(recorder.wait_for("h/a", std::nullopt));
  EXPECT_EQ(recorder.events().size(), 1U);
  EXPECT_EQ(store->keep_alive(lease).error().code, Errc::not_found);
  EXPECT_TRUE(store->keep_alive(longer));
}

TEST(EmbeddedStore, a_restart_gives_each_lease_its_whole_time) {
  const TempDir folder;
  const TestClock clock;
  const EmbeddedOptions options{.timeout = kLimit, .clock = clock.source()};
  auto store = must_open(folder / "state.db", options);
  const LeaseId lease = *store->grant_lease(100s);
  const LeaseId revoked = *store->grant_lease(100s);
  ASSERT_TRUE(store->commit(put("h/a", "1", lease)));
  ASSERT_TRUE(store->revoke_lease(revoked));
  *clock.seconds += 99;
  store.reset();
  // Another start of the machine: the clock begins anew.
  *clock.seconds = 5;
  store = must_open(folder / "state.db", options);
  EXPECT_EQ(store->keep_alive(revoked).error().code, Errc::not_found);
  WatchRecorder recorder;
  const auto watching = store->watch("h/", store->list("")->revision, recorder.calls());
  *clock.seconds += 99;
  EXPECT_TRUE(store->keep_alive(lease));
  *clock.seconds += 99;
  EXPECT_TRUE(*store->get("h/a"));
  *clock.seconds += 1;
  EXPECT_TRUE(recorder.wait_for("h/a", std::nullopt));
}

TEST(EmbeddedStore, a_watch_that_is_too_slow_is_told_so_and_takes_no_memory) {
  const TempDir folder;
  const auto store = must_open(folder / "state.db", {.timeout = kLimit, .log_events = 10});
  std::promise<void> may_go_on, lost;
  const auto gate = may_go_on.get_future().share();
  std::atomic<int> calls{0};
  const auto slow = store->watch("", 0,
                                 {.on_events =
                                      [&](const std::vector<Event>&) {
                                        ++calls;
                                        gate.wait();
                                      },
                                  .on_lost = [&] { lost.set_value(); }});
  ASSERT_TRUE(slow);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(store->commit(put("k", std::to_string(i))));
  may_go_on.set_value();
  EXPECT_EQ(lost.get_future().wait_for(kLimit), std::future_status::ready);
  EXPECT_LE(calls, 2);
  // Who lists again goes on from there.
  WatchRecorder recorder;
  const auto again = store->watch("", store->list("")->revision, recorder.calls());
  ASSERT_TRUE(store->commit(put("k", "after")));
  EXPECT_TRUE(recorder.wait_for("k", "after"));
}

// A file system of 1 MiB for the calling thread and those that it makes.
bool mount_small(const std::filesystem::path& folder) {
  return ::unshare(CLONE_NEWNS) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=1m") == 0;
}

TEST(EmbeddedStore, a_full_disk_is_told_and_reading_and_leases_go_on_until_there_is_room) {
  const TempDir folder;
  if (::geteuid() != 0) GTEST_SKIP() << "a small file system needs root";
  // In a thread of its own: the other tests keep their file systems.
  std::thread([&] {
    ASSERT_TRUE(mount_small(folder.path()));
    {
      auto store = must_open(folder / "state.db");
      const LeaseId lease = *store->grant_lease(600s);
      ASSERT_TRUE(store->commit(put("h/a", "1", lease)));
      // So that there is room to be made later.
      std::ofstream(folder / "ballast") << std::string(256 << 10, 'x');

      Result<Committed> done;
      int stored = 0;
      for (; stored < 1'000; ++stored) {
        done = store->commit(put("big/" + std::to_string(stored), std::string(16 << 10, 'v')));
        if (!done) break;
      }
      ASSERT_FALSE(done);
      EXPECT_EQ(done.error().code, Errc::resource_exhausted) << done.error().message;
      EXPECT_THAT(done.error().message, HasSubstr("state.db"));
      EXPECT_EQ(store->list("big/")->entries.size(), static_cast<std::size_t>(stored));
      EXPECT_TRUE(store->keep_alive(lease));
      const Revision full_at = store->list("")->revision;

      std::filesystem::remove(folder / "ballast");
      done = store->commit(put("big/last", std::string(16 << 10, 'v')));
      ASSERT_TRUE(done) << done.error().message;
      EXPECT_EQ(done->revision, full_at + 1);
      store.reset();
      store = must_open(folder / "state.db");
      EXPECT_EQ(store->list("big/")->entries.size(), static_cast<std::size_t>(stored) + 1);
    }
    ::umount2(folder.path().c_str(), MNT_DETACH);
  }).join();
}

TEST(EmbeddedStore, of_commits_that_share_a_write_each_has_its_own_outcome) {
  const TempDir folder;
  const auto store = must_open(folder / "state.db");
  constexpr int kThreads = 16;
  std::atomic<int> made{0}, refused{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const auto done = store->commit(
            {.conditions = {{.key = "slot/" + std::to_string(i), .revision = 0}},
             .changes = {{.key = "slot/" + std::to_string(i), .value = std::to_string(t)}}});
        ASSERT_TRUE(done) << done.error().message;
        ++(done->succeeded ? made : refused);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made, 20);
  EXPECT_EQ(refused, 20 * (kThreads - 1));
  EXPECT_EQ(store->list("slot/")->revision, 20U);
}

}  // namespace
}  // namespace aloft::cluster
