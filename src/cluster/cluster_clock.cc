#include "cluster/cluster_clock.h"

#include <algorithm>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "aloft/state/clock.pb.h"

namespace aloft::cluster {
namespace {

using identity::ClusterTime;

constexpr const char* kKey = "clock";

// What the key said.
struct Seen {
  state::ClockRecord record;
  Revision revision = 0;
};

Result<std::optional<Seen>> read(Store& store) {
  auto entry = store.get(kKey);
  if (!entry) return std::unexpected(entry.error());
  if (!*entry) return std::nullopt;
  Seen seen{.record = {}, .revision = (*entry)->revision};
  if (!seen.record.ParseFromString((*entry)->value))
    return fail(Errc::corrupt, "the record of the cluster's time in the store is damaged");
  return seen;
}

std::string boot_id_of_kernel() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace

struct ClusterClock::Impl {
  Store& store;
  const ClusterClockOptions options;
  const std::string boot_id;

  mutable std::mutex mutex;
  std::condition_variable changed;
  bool ending = false;
  // The time is `known` at `at`, and goes on from there.
  ClusterTime known{0};
  BootClock::time_point at;
  mutable ClusterTime told{0};
  BootClock::time_point trusts_until;  // what hosts say

  std::thread thread;

  Impl(Store& the_store, ClusterClockOptions the_options)
      : store(the_store),
        options(std::move(the_options)),
        boot_id(options.boot_id.empty() ? boot_id_of_kernel() : options.boot_id) {}

  // With the lock.
  ClusterTime estimate(BootClock::time_point time) const {
    return known + std::chrono::floor<ClusterTime>(std::max(time - at, BootClock::duration(0)));
  }

  // With the lock. Earlier than the estimate is no news.
  void advance(ClusterTime to) {
    const auto time = options.clock();
    if (to <= estimate(time)) return;
    known = to;
    at = time;
  }

  ClusterTime now() const {
    const std::lock_guard lock(mutex);
    told = std::max(told, estimate(options.clock()));
    return told;
  }

  Result<Committed> write(ClusterTime time, BootClock::time_point boot_time, Revision over) {
    state::ClockRecord record;
    record.set_cluster_time_ms(time.count());
    record.set_boot_id(boot_id);
    record.set_boot_time_ns(boot_time.time_since_epoch().count());
    return store.commit({.conditions = {{.key = kKey, .revision = over}},
                         .changes = {{.key = kKey, .value = record.SerializeAsString()}}});
  }

  Result<void> begin() {
    // Another manager may make the first record meanwhile.
    auto seen = read(store);
    for (int i = 0; seen && !*seen && i < 10; ++i) {
      if (auto made = write(ClusterTime(0), options.clock(), 0); !made)
        return std::unexpected(made.error());
      seen = read(store);
    }
    if (!seen) return std::unexpected(seen.error());
    if (!*seen) return fail(Errc::unreachable, "the store keeps no record of the cluster's time");

    const state::ClockRecord& record = (*seen)->record;
    const std::lock_guard lock(mutex);
    at = options.clock();
    known = ClusterTime(record.cluster_time_ms());
    const BootClock::time_point then{BootClock::duration(record.boot_time_ns())};
    if (!boot_id.empty() && record.boot_id() == boot_id && then <= at) {
      known += std::chrono::floor<ClusterTime>(at - then);
      trusts_until = at;
    } else {
      // A manager may have told a time that is later than its last record by a period or two.
      known += 2 * options.period;
      trusts_until = at + options.trust;
    }
    return {};
  }

  // Once a period. What fails is tried again at the next one; time goes on meanwhile.
  void synchronise() {
    const auto seen = read(store);
    if (!seen) return;
    ClusterTime time{0};
    BootClock::time_point boot_time;
    {
      const std::lock_guard lock(mutex);
      if (*seen) advance(ClusterTime((*seen)->record.cluster_time_ms()));
      boot_time = options.clock();
      time = estimate(boot_time);
    }
    const ClusterTime there(*seen ? (*seen)->record.cluster_time_ms() : 0);
    if (*seen && time - there < options.period / 2) return;
    // When another one writes first, its record serves as well.
    static_cast<void>(write(time, boot_time, *seen ? (*seen)->revision : 0));
  }

  void run() {
    std::unique_lock lock(mutex);
    while (!changed.wait_for(lock, options.period, [this] { return ending; })) {
      lock.unlock();
      synchronise();
      lock.lock();
    }
  }
};

ClusterClock::ClusterClock(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
  impl_->thread = std::thread([running = impl_.get()] { running->run(); });
}

ClusterClock::~ClusterClock() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->ending = true;
  }
  impl_->changed.notify_all();
  impl_->thread.join();
}

Result<std::unique_ptr<ClusterClock>> ClusterClock::start(Store& store,
                                                          ClusterClockOptions options) {
  auto impl = std::make_unique<Impl>(store, std::move(options));
  if (auto begun = impl->begin(); !begun) return std::unexpected(begun.error());
  return std::unique_ptr<ClusterClock>(new ClusterClock(std::move(impl)));
}

identity::ClusterTime ClusterClock::now() const { return impl_->now(); }

void ClusterClock::at_least(identity::ClusterTime time) {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->options.clock() < impl_->trusts_until) impl_->advance(time);
}

}  // namespace aloft::cluster
