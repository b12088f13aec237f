// The thread that watches over asynchronous calls at the edge: it ends those that are late, and
// settles those that have ended (decodes results, calls the application back), which is nothing for
// the I/O thread to do.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace aloft::function {

// A call to watch. Both functions are called on the watching thread, one at a time.
class Watched {
 public:
  virtual void on_late() = 0;    // its deadline has come; at most once, and not after it was posted
  virtual void on_posted() = 0;  // may destroy it

 protected:
  ~Watched() = default;
};

// Thread rule: any thread.
class CallWatch {
 public:
  CallWatch();
  ~CallWatch();  // nothing may be watched any more
  CallWatch(const CallWatch&) = delete;
  CallWatch& operator=(const CallWatch&) = delete;

  // Watches `call` until it is posted.
  void watch(Watched& call, std::chrono::steady_clock::time_point deadline);
  // Has the thread call on_posted(), once; its deadline counts no more.
  void post(Watched& call);

 private:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Entry {
    Watched* call = nullptr;
    TimePoint deadline;
  };

  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Entry> watched_;
  std::vector<Watched*> posted_;
  // When the thread wakes without being told. Deadlines mostly come in order: a new one rarely
  // needs to wake it.
  TimePoint wakes_at_ = TimePoint::max();
  bool ending_ = false;
  std::jthread thread_;  // last: it uses the rest
};

}  // namespace aloft::function
