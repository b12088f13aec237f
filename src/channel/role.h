// The role of the thread that reads a link and calls its receiver: one thread at a time has it.
//
// Any thread may wait for it but the I/O thread, which has other links and their heartbeats to see
// to: what that finds taken it leaves here, and is called when the role is free. It then is the
// first to have it, since a mutex is not fair: a thread that gives the role back to take it again
// at once, while enough comes to be read, would mostly have it before any other has woken up.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace aloft::channel {

class Link;

class Role {
 public:
  using Task = std::function<void(Link&)>;

  // Whether this thread has it. Any thread.
  [[nodiscard]] bool is_mine() const {
    return holder_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }
  // Waits for it, and for the I/O thread to go first. Any thread but that.
  void take();
  // Waits for it alone: for the I/O thread, where no other can have it for long.
  void take_first();
  // True: the I/O thread is to be called, to do_waiting(). Whoever has it.
  [[nodiscard]] bool give_back();

  // The I/O thread's. Takes it if it is free, and nothing waits.
  [[nodiscard]] bool try_take();
  // To be done when the role is free.
  void leave(Task task) { waiting_.push_back(std::move(task)); }
  // Takes it, if it is free, and answers what is to be done now; else whoever has it finds out in
  // give_back().
  [[nodiscard]] bool try_take_for(std::vector<Task>& tasks);
  // After what was to be done was, and the role given back.
  void let_others();

 private:
  void taken() { holder_.store(std::this_thread::get_id(), std::memory_order_relaxed); }

  std::mutex mutex_;
  std::atomic<std::thread::id> holder_;
  std::atomic<bool> coming_ = false;  // the I/O thread is the next to have it
  std::vector<Task> waiting_;         // the I/O thread's
};

}  // namespace aloft::channel
