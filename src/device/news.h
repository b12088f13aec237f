// Lets a thread sleep until something that others know has changed, where each of them tells of
// itself alone and with a lock held: it looks at them all, and waits for news since.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace aloft::device {

// Thread rule: any thread.
class News {
 public:
  // Something has changed. Takes no lock but its own.
  void tell() {
    {
      const std::lock_guard lock(mutex_);
      ++told_;
    }
    changed_.notify_all();
  }
  // How often; ask before looking at what may have changed.
  [[nodiscard]] std::uint64_t told() const {
    const std::lock_guard lock(mutex_);
    return told_;
  }
  // Waits until something has since told() was `before`. False: `until` came first.
  [[nodiscard]] bool wait(std::uint64_t before, std::chrono::steady_clock::time_point until) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, until, [&] { return told_ != before; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t told_ = 0;
};

}  // namespace aloft::device
