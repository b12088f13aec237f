#include "function/here_executor.h"

#include <algorithm>

namespace aloft::function {

HereExecutor::HereExecutor(int threads) {
  for (int i = 0; i < std::max(1, threads); ++i) threads_.emplace_back([this] { work(); });
}

HereExecutor::~HereExecutor() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
}

void HereExecutor::post(HereTask& task) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(&task);
  }
  changed_.notify_one();
}

void HereExecutor::post_first(HereTask& task) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_front(&task);
  }
  changed_.notify_one();
}

bool HereExecutor::remove(HereTask& task) {
  const std::lock_guard lock(mutex_);
  return std::erase(waiting_, &task) != 0;
}

void HereExecutor::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return ending_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    HereTask& task = *waiting_.front();
    waiting_.pop_front();
    lock.unlock();
    task.run_here();
    lock.lock();
  }
}

}  // namespace aloft::function
