// The threads that run asynchronous calls of elastic functions here, in the order they were made.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include <aloft/detail/elastic_call.h>

namespace aloft::function {

// Something to run. Its owner keeps it until it has run or was removed.
using HereTask = detail::Task;

// Thread rule: any thread.
class HereExecutor {
 public:
  explicit HereExecutor(int threads);  // at least 1
  ~HereExecutor();                     // nothing may wait to run any more
  HereExecutor(const HereExecutor&) = delete;
  HereExecutor& operator=(const HereExecutor&) = delete;

  void post(HereTask& task);
  // Before all that wait.
  void post_first(HereTask& task);
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
