#include "inference/work_queue.h"

#include <algorithm>
#include <cstddef>

namespace aloft::inference {

WorkQueue::WorkQueue(int threads) {
  threads_.reserve(static_cast<std::size_t>(threads));
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

WorkQueue::~WorkQueue() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkQueue::push(Job& job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(&job);
  }
  wake_.notify_one();
}

WorkQueue::TakenBack WorkQueue::take_back(Job& job) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(jobs_, &job);
  if (found == jobs_.end()) return TakenBack::started;
  jobs_.erase(found);
  return TakenBack::yes;
}

void WorkQueue::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    Job* const job = jobs_.front();
    jobs_.pop_front();
    lock.unlock();
    job->run();
    lock.lock();
  }
}

}  // namespace aloft::inference
