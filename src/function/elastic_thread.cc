#include "function/elastic_thread.h"

#include <algorithm>
#include <utility>

namespace aloft::function {

ElasticThread::ElasticThread() : thread_([this] { work(); }) {}

ElasticThread::~ElasticThread() { stop(); }

void ElasticThread::wake(const std::shared_ptr<ElasticTimed>& timed, TimePoint when) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(timers_, timed.get(), &Entry::key);
  if (when == TimePoint::max()) {
    if (found != timers_.end()) timers_.erase(found);
    return;
  }
  if (found != timers_.end()) {
    *found = {timed.get(), timed, when};
  } else {
    timers_.push_back({timed.get(), timed, when});
  }
  if (when < wakes_at_) changed_.notify_one();
}

void ElasticThread::post(std::shared_ptr<ElasticTask> task) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopped_) {
      tasks_.push_back(std::move(task));
      changed_.notify_one();
      return;
    }
  }
  task->run_task();
}

void ElasticThread::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void ElasticThread::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto earliest = std::ranges::min_element(timers_, {}, &Entry::when);
    wakes_at_ = earliest == timers_.end() ? TimePoint::max() : earliest->when;
    if (!tasks_.empty()) {
      const std::shared_ptr<ElasticTask> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task->run_task();
      lock.lock();
    } else if (stopping_) {
      stopped_ = true;
      return;
    } else if (wakes_at_ <= std::chrono::steady_clock::now()) {
      const std::shared_ptr<ElasticTimed> timed = earliest->timed.lock();
      timers_.erase(earliest);
      lock.unlock();
      if (timed != nullptr) timed->on_timer();
      lock.lock();
    } else if (wakes_at_ == TimePoint::max()) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, wakes_at_);
    }
  }
}

}  // namespace aloft::function
