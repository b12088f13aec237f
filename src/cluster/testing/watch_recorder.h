// What a watch tells, for tests that wait for it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cluster/store.h"

namespace aloft::cluster::testing {

// Generous: a wait that ends with its event is not longer for it.
inline constexpr std::chrono::seconds kLimit{60};

// Thread rule: any thread. Must outlive the watch.
class WatchRecorder {
 public:
  [[nodiscard]] Store::WatchCalls calls() {
    return {.on_events =
                [this](const std::vector<Event>& events) {
                  const std::lock_guard lock(mutex_);
                  calls_.push_back(events);
                  events_.insert(events_.end(), events.begin(), events.end());
                  changed_.notify_all();
                },
            .on_lost =
                [this] {
                  const std::lock_guard lock(mutex_);
                  lost_ = true;
                  changed_.notify_all();
                }};
  }

  [[nodiscard]] bool wait_for_events(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLimit, [&] { return events_.size() >= count; });
  }
  [[nodiscard]] bool wait_lost() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLimit, [&] { return lost_; });
  }
  // A change of `key`; none: its end.
  [[nodiscard]] bool wait_for(const std::string& key, const std::optional<std::string>& value) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLimit, [&] {
      for (const Event& event : events_) {
        if (event.key == key && event.value == value) return true;
      }
      return false;
    });
  }
  [[nodiscard]] std::vector<Event> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  // Call by call.
  [[nodiscard]] std::vector<std::vector<Event>> by_call() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Event> events_;
  std::vector<std::vector<Event>> calls_;
  bool lost_ = false;
};

}  // namespace aloft::cluster::testing
