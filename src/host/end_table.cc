#include "host/end_table.h"

#include <algorithm>
#include <string>
#include <utility>

#include <spdlog/spdlog.h>

namespace aloft::host {

EndTable::EndTable(const EndLimits& limits)
    : limits_(limits), held_(limits.bytes), thread_([this] { work(); }) {}

EndTable::~EndTable() {
  close();
  thread_.join();
}

void EndTable::close() {
  std::unique_lock lock(mutex_);
  closing_ = true;
  while (!ends_.empty()) end_entry(ends_.begin());
  changed_.notify_all();
  changed_.wait(lock, [this] { return ending_.empty(); });
}

Result<std::shared_ptr<EndRunner>> EndTable::add(const EndKey& key, EndContext context,
                                                 const function::AttachTerms& terms) {
  const std::uint64_t session = context.session;
  const std::lock_guard lock(mutex_);
  if (ends_.contains(key))
    return fail(Errc::refused, "there is an end " + to_string(key) + " already");
  const auto of_session = static_cast<std::size_t>(
      std::ranges::count_if(ends_, [&](const auto& end) { return end.second.session == session; }));
  if (closing_ || ends_.size() + ending_.size() >= limits_.ends ||
      of_session >= limits_.session_ends) {
    return fail(Errc::overloaded, "this edge has " + std::to_string(ends_.size()) +
                                      " movable ends, " + std::to_string(of_session) +
                                      " of them of this session, and takes no more");
  }
  auto runner = std::make_shared<EndRunner>(key, std::move(context), terms, held_,
                                            [this, key](const EndRunner& over) { end(key, over); });
  ends_.emplace(key, Entry{runner, session, std::nullopt});
  return runner;
}

std::shared_ptr<EndRunner> EndTable::resume(const EndKey& key, std::uint64_t session) {
  const std::lock_guard lock(mutex_);
  const auto found = ends_.find(key);
  if (found == ends_.end()) return nullptr;
  found->second.session = session;
  found->second.until.reset();
  return found->second.runner;
}

void EndTable::park(const EndKey& key) {
  const std::lock_guard lock(mutex_);
  const auto found = ends_.find(key);
  if (found == ends_.end()) return;
  found->second.until = Clock::now() + limits_.grace;
  changed_.notify_all();
}

std::optional<OverdueEnd> EndTable::overdue(Clock::time_point now) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [key, entry] : ends_) {
    if (auto overdue = entry.runner->overdue(now)) return overdue;
  }
  for (const auto& runner : ending_) {
    if (auto overdue = runner->overdue(now)) return overdue;
  }
  return std::nullopt;
}

void EndTable::give_up(const EndKey& key, const Error& why) {
  std::shared_ptr<EndRunner> runner;
  {
    const std::lock_guard lock(mutex_);
    const auto found = ends_.find(key);
    if (found == ends_.end()) return;
    runner = found->second.runner;
  }
  runner->give_up(why);
}

std::size_t EndTable::size() const {
  const std::lock_guard lock(mutex_);
  return ends_.size();
}

bool EndTable::wait_until_gone(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [this] { return ends_.empty() && ending_.empty(); });
}

void EndTable::end(const EndKey& key, const EndRunner& runner) {
  const std::lock_guard lock(mutex_);
  if (const auto found = ends_.find(key);
      found != ends_.end() && found->second.runner.get() == &runner) {
    end_entry(found);
  }
}

void EndTable::end_entry(std::map<EndKey, Entry>::iterator entry) {
  ending_.push_back(std::move(entry->second.runner));
  ends_.erase(entry);
  changed_.notify_all();
}

Clock::time_point EndTable::next_grace() const {
  auto next = Clock::time_point::max();
  for (const auto& [key, entry] : ends_) {
    if (entry.until) next = std::min(next, *entry.until);
  }
  return next;
}

void EndTable::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    const auto now = Clock::now();
    for (auto entry = ends_.begin(); entry != ends_.end();) {
      const auto at = entry++;
      if (!at->second.until || *at->second.until > now) continue;
      spdlog::info("end {}: nobody came back for it", to_string(at->first));
      end_entry(at);
    }
    if (!ending_.empty()) {
      for (const auto& runner : ending_)
        runner->stop();  // all are asked before the first is waited for
      std::shared_ptr<EndRunner> runner = ending_.front();
      lock.unlock();
      runner->finish();
      lock.lock();
      std::erase(ending_, runner);
      changed_.notify_all();
      lock.unlock();
      runner.reset();
      lock.lock();
    } else if (closing_) {
      return;
    } else if (const auto next = next_grace(); next != Clock::time_point::max()) {
      changed_.wait_until(lock, next);
    } else {
      changed_.wait(lock);
    }
  }
}

}  // namespace aloft::host
