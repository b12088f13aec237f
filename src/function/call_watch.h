// The thread that watches over calls: it wakes those whose time has come, and settles asynchronous
// ones about which the I/O thread has news (decodes results, calls the application back), which is
// nothing for the I/O thread to do.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace aloft::function {

// A call to watch. Both functions are called on the watching thread, one at a time, and may end the
// call.
class Watched {
 public:
  virtual void on_time() = 0;    // its time has come; once for each set()
  virtual void on_posted() = 0;  // once for each post()

 protected:
  ~Watched() = default;
};

// Thread rule: any thread.
class CallWatch {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  CallWatch();
  ~CallWatch();  // nothing may be watched any more
  CallWatch(const CallWatch&) = delete;
  CallWatch& operator=(const CallWatch&) = delete;

  // Its time is this one now, or none.
  void set(Watched& call, std::optional<TimePoint> time);
  void post(Watched& call);
  // Calls neither function from now on. Waits while the thread is in one of them, unless this is
  // that thread.
  void forget(Watched& call);

 private:
  struct Entry {
    Watched* call = nullptr;
    TimePoint time;
  };

  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable returned_;  // the thread is in no call any more
  std::vector<Entry> watched_;
  std::deque<Watched*> posted_;
  Watched* in_ = nullptr;  // whose function the thread is in
  // When the thread wakes without being told. Times mostly come in order: a new one rarely needs to
  // wake it.
  TimePoint wakes_at_ = TimePoint::max();
  bool ending_ = false;
  std::jthread thread_;  // last: it uses the rest
};

}  // namespace aloft::function
