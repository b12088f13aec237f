// The simulated clock: what is to happen, in the order of its time. Nothing else passes time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "random.h"

namespace aloft::sim {

class Agenda {
 public:
  [[nodiscard]] Time now() const { return now_; }
  // What has the same time happens in the order in which it was put here.
  void at(Time when, std::move_only_function<void()> what) {
    entries_.push_back({std::max(when, now_), ++count_, std::move(what)});
    std::push_heap(entries_.begin(), entries_.end());
  }
  void after(Duration delay, std::move_only_function<void()> what) {
    at(now_ + delay, std::move(what));
  }

  // Has the next thing happen. False: there is none until `limit`, which is now then.
  bool step(Time limit) {
    if (entries_.empty() || entries_.front().when > limit) {
      now_ = std::max(now_, limit);
      return false;
    }
    std::pop_heap(entries_.begin(), entries_.end());
    Entry entry = std::move(entries_.back());
    entries_.pop_back();
    now_ = entry.when;
    entry.what();
    return true;
  }
  [[nodiscard]] std::uint64_t happened() const { return count_ - entries_.size(); }

 private:
  struct Entry {
    Time when;
    std::uint64_t number = 0;
    std::move_only_function<void()> what;
    // The heap has the greatest in front: the earliest is the greatest.
    bool operator<(const Entry& other) const {
      return when != other.when ? when > other.when : number > other.number;
    }
  };

  Time now_{};
  std::uint64_t count_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace aloft::sim
