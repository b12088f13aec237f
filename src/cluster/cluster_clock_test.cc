// Time of a cluster, with machines whose clocks the test moves.
#include "cluster/cluster_clock.h"

#include <atomic>
#include <memory>
#include <thread>

#include <gtest/gtest.h>

#include "cluster/embedded_store.h"
#include "cluster/testing/watch_recorder.h"
#include "support/temp_dir.h"

namespace aloft::cluster {
namespace {

using namespace std::chrono_literals;
using identity::ClusterTime;
using testing::kLimit;
using testing::WatchRecorder;

// A start of a machine, and how long ago it was.
struct Machine {
  std::string boot_id;
  std::shared_ptr<std::atomic<std::int64_t>> ms;

  explicit Machine(std::string boot, std::int64_t since_start_ms)
      : boot_id(std::move(boot)), ms(std::make_shared<std::atomic<std::int64_t>>(since_start_ms)) {}
  void pass(std::chrono::milliseconds time) const { *ms += time.count(); }
  ClusterClockOptions options(std::chrono::milliseconds period) const {
    return {
        .period = period,
        .clock = [ms = ms] { return BootClock::time_point(std::chrono::milliseconds(ms->load())); },
        .boot_id = boot_id};
  }
};

class ClusterClockTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = EmbeddedStore::open(folder / "state.db", {.timeout = kLimit});
    ASSERT_TRUE(opened) << opened.error().message;
    store = std::move(*opened);
  }
  // By default one that writes nothing by itself while the test runs.
  std::unique_ptr<ClusterClock> start(const Machine& machine,
                                      std::chrono::milliseconds period = 1h) const {
    auto started = ClusterClock::start(*store, machine.options(period));
    EXPECT_TRUE(started) << started.error().message;
    return started ? std::move(*started) : nullptr;
  }
  // Until that clock has read what another one wrote.
  static bool reaches(const ClusterClock& clock, ClusterTime time) {
    const auto end = std::chrono::steady_clock::now() + kLimit;
    while (clock.now() < time && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(1ms);
    return clock.now() >= time;
  }

  const aloft::testing::TempDir folder;
  std::unique_ptr<Store> store;
};

TEST_F(ClusterClockTest, a_new_cluster_begins_at_zero_and_goes_on_with_the_machine) {
  const Machine machine("one", 5'000);
  const auto clock = start(machine);
  EXPECT_EQ(clock->now(), 0ms);
  machine.pass(1'500ms);
  EXPECT_EQ(clock->now(), 1'500ms);
}

TEST_F(ClusterClockTest, it_never_goes_back_whatever_the_machine_s_clock_does) {
  const Machine machine("one", 5'000);
  const auto clock = start(machine);
  machine.pass(10s);
  EXPECT_EQ(clock->now(), 10s);
  machine.pass(-4s);
  EXPECT_EQ(clock->now(), 10s);
  machine.pass(5s);
  EXPECT_EQ(clock->now(), 11s);
}

TEST_F(ClusterClockTest, a_manager_that_starts_again_on_its_machine_knows_how_long_it_was_away) {
  const Machine machine("one", 5'000);
  start(machine).reset();
  machine.pass(3'600s);
  EXPECT_EQ(start(machine)->now(), 3'600s);
}

TEST_F(ClusterClockTest, another_machine_goes_on_from_the_record_and_later_than_any_answer) {
  const Machine first("one", 5'000), second("two", 900'000);
  auto clock = start(first, 10ms);
  WatchRecorder records;
  const auto watching = store->watch("clock", store->list("")->revision, records.calls());
  first.pass(100s);
  EXPECT_TRUE(records.wait_for_events(1));
  EXPECT_EQ(clock->now(), 100s);
  clock.reset();
  EXPECT_GE(start(second, 10ms)->now(), 100s);
}

TEST_F(ClusterClockTest, managers_agree_on_the_time_of_the_fastest) {
  const Machine first("one", 5'000), second("two", 900'000);
  const auto fast = start(first, 10ms);
  const auto slow = start(second, 10ms);
  first.pass(30s);
  EXPECT_TRUE(reaches(*slow, 30s));
  EXPECT_LT(slow->now(), 31s);
  EXPECT_GE(fast->now(), 30s);
}

TEST_F(ClusterClockTest, hosts_move_a_new_manager_s_clock_forward_but_not_later_and_never_back) {
  const Machine first("one", 5'000), second("two", 900'000);
  const auto before = start(first);
  before->at_least(500s);  // it knows how late it is: the record is of this machine
  EXPECT_EQ(before->now(), 0s);

  const auto clock = start(second, 1s);
  clock->at_least(500s);
  EXPECT_EQ(clock->now(), 500s);
  clock->at_least(400s);
  EXPECT_EQ(clock->now(), 500s);
  second.pass(61s);
  clock->at_least(10'000s);
  EXPECT_EQ(clock->now(), 561s);
}

}  // namespace
}  // namespace aloft::cluster
