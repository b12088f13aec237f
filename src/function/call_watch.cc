#include "function/call_watch.h"

#include <algorithm>
#include <utility>

namespace aloft::function {

CallWatch::CallWatch() : thread_([this] { work(); }) {}

CallWatch::~CallWatch() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
}

void CallWatch::watch(Watched& call, TimePoint deadline) {
  const std::lock_guard lock(mutex_);
  watched_.push_back({&call, deadline});
  if (deadline < wakes_at_) changed_.notify_one();
}

void CallWatch::post(Watched& call) {
  const std::lock_guard lock(mutex_);
  std::erase_if(watched_, [&](const Entry& entry) { return entry.call == &call; });
  posted_.push_back(&call);
  changed_.notify_one();
}

void CallWatch::work() {
  std::vector<Watched*> posted;
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto earliest = std::ranges::min_element(watched_, {}, &Entry::deadline);
    wakes_at_ = earliest == watched_.end() ? TimePoint::max() : earliest->deadline;
    if (!posted_.empty()) {
      posted.swap(posted_);
      lock.unlock();
      for (Watched* const call : posted) call->on_posted();
      posted.clear();
      lock.lock();
    } else if (wakes_at_ <= std::chrono::steady_clock::now()) {
      Watched& late = *std::exchange(*earliest, watched_.back()).call;
      watched_.pop_back();
      lock.unlock();
      late.on_late();
      lock.lock();
    } else if (ending_) {
      return;
    } else if (wakes_at_ == TimePoint::max()) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, wakes_at_);
    }
  }
}

}  // namespace aloft::function
