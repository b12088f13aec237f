// The thread that does for all elastic ends of a runtime what happens without an event (their
// timers), and what is nothing for an I/O thread: decoding results of asynchronous calls, calling
// the application back.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace aloft::function {

// Something to do once.
class ElasticTask {
 public:
  virtual ~ElasticTask() = default;
  virtual void run_task() = 0;
};

// Something with a timer.
class ElasticTimed {
 public:
  virtual ~ElasticTimed() = default;
  virtual void on_timer() = 0;
};

// Thread rule: any thread.
class ElasticThread {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  ElasticThread();
  ~ElasticThread();
  ElasticThread(const ElasticThread&) = delete;
  ElasticThread& operator=(const ElasticThread&) = delete;

  // Has on_timer() called at `when`, once, in place of what was asked for before; max(): not at
  // all.
  void wake(const std::shared_ptr<ElasticTimed>& timed, TimePoint when);
  // Tasks run in the order they were posted.
  void post(std::shared_ptr<ElasticTask> task);
  // Runs what was posted, then ends the thread: later tasks run where they are posted, timers come
  // no more. Not from the thread itself.
  void stop();

 private:
  struct Entry {
    ElasticTimed* key = nullptr;
    std::weak_ptr<ElasticTimed> timed;
    TimePoint when;
  };

  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Entry> timers_;
  std::deque<std::shared_ptr<ElasticTask>> tasks_;
  TimePoint wakes_at_ = TimePoint::max();
  bool stopping_ = false;
  bool stopped_ = false;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace aloft::function
