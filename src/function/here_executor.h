// The threads that run asynchronous calls of elastic functions here, in the order they were made.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace aloft::function {

// Something to run. Its owner keeps it until it has run or was removed.
class HereTask {
 public:
  virtual void run_here() = 0;  // may destroy the task

 protected:
  ~HereTask() = default;
};

// Thread rule: any thread.
class HereExecutor {
 public:
  explicit HereExecutor(int threads);  // at least 1
  ~HereExecutor();                     // nothing may wait to run any more
  HereExecutor(const HereExecutor&) = delete;
  HereExecutor& operator=(const HereExecutor&) = delete;

  void post(HereTask& task);
  // True: the task waited, and will not run. False: it runs or has run.
  [[nodiscard]] bool remove(HereTask& task);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<HereTask*> waiting_;
  bool ending_ = false;
  std::vector<std::jthread> threads_;  // last: they use the rest
};

}  // namespace aloft::function
