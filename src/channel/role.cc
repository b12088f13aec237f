#include "channel/role.h"

#include <utility>

namespace aloft::channel {

void Role::take() {
  if (coming_.load(std::memory_order_relaxed)) coming_.wait(true, std::memory_order_relaxed);
  take_first();
}

void Role::take_first() {
  mutex_.lock();
  taken();
}

// Either who has the role sees here that the I/O thread came, or that finds the role free.
bool Role::give_back() {
  holder_.store(std::thread::id(), std::memory_order_relaxed);
  mutex_.unlock();
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return coming_.load(std::memory_order_relaxed);
}

bool Role::try_take() {
  if (!waiting_.empty() || !mutex_.try_lock()) return false;
  taken();
  return true;
}

bool Role::try_take_for(std::vector<Task>& tasks) {
  coming_.store(true, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!mutex_.try_lock()) return false;
  taken();
  coming_.store(false, std::memory_order_relaxed);
  tasks = std::exchange(waiting_, {});
  return true;
}

void Role::let_others() { coming_.notify_all(); }

}  // namespace aloft::channel
