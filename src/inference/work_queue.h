// A fixed number of threads that run jobs in the order they came: how many inferences run at a
// time.
//
// Jobs are intrusive: a job belongs to whoever queues it and costs no allocation. A job that waits
// its turn can be taken back, which is how a cancelled inference leaves a queue behind a long one.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace aloft::inference {

class Job {
 public:
  // Called once for each push(), from a thread of the queue. After its last statement that others
  // can observe, the queue touches the job no more.
  virtual void run() = 0;

 protected:
  ~Job() = default;
};

// Thread rule: any thread.
class WorkQueue {
 public:
  explicit WorkQueue(int threads);
  // Runs what is queued, then ends the threads. Must not be called from one of them.
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Queues `job`, which stays valid until it ran or was taken back, and is not in the queue
  // already.
  void push(Job& job);

  enum class TakenBack { yes, started };
  // `yes`: the job was waiting and will not run. `started`: it runs, ran, or was never pushed.
  [[nodiscard]] TakenBack take_back(Job& job);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job*> jobs_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace aloft::inference
