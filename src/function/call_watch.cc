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

void CallWatch::set(Watched& call, std::optional<TimePoint> time) {
  const std::lock_guard lock(mutex_);
  const auto entry = std::ranges::find(watched_, &call, &Entry::call);
  if (!time) {
    if (entry != watched_.end()) watched_.erase(entry);
    return;
  }
  if (entry == watched_.end()) {
    watched_.push_back({&call, *time});
  } else {
    entry->time = *time;
  }
  if (*time < wakes_at_) changed_.notify_one();
}

void CallWatch::post(Watched& call) {
  const std::lock_guard lock(mutex_);
  posted_.push_back(&call);
  changed_.notify_one();
}

void CallWatch::forget(Watched& call) {
  std::unique_lock lock(mutex_);
  std::erase_if(watched_, [&](const Entry& entry) { return entry.call == &call; });
  std::erase(posted_, &call);
  if (std::this_thread::get_id() == thread_.get_id()) return;
  returned_.wait(lock, [&] { return in_ != &call; });
}

void CallWatch::work() {
  std::unique_lock lock(mutex_);
  // `in_` is only compared: the call may be gone when its function returns.
  const auto enter = [&](Watched& call, void (Watched::*function)()) {
    in_ = &call;
    lock.unlock();
    (call.*function)();
    lock.lock();
    in_ = nullptr;
    returned_.notify_all();
  };
  for (;;) {
    const auto earliest = std::ranges::min_element(watched_, {}, &Entry::time);
    wakes_at_ = earliest == watched_.end() ? TimePoint::max() : earliest->time;
    if (!posted_.empty()) {
      Watched& call = *posted_.front();
      posted_.pop_front();
      enter(call, &Watched::on_posted);
    } else if (wakes_at_ <= std::chrono::steady_clock::now()) {
      Watched& call = *std::exchange(*earliest, watched_.back()).call;
      watched_.pop_back();
      enter(call, &Watched::on_time);
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
