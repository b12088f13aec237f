#include "cluster/watch_log.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace aloft::cluster {
namespace {

constexpr std::size_t kEventsPerCall = 1'000;

struct Watcher {
  std::string prefix;
  Store::WatchCalls calls;
  Revision told = 0;  // with the log's mutex

  // Held during a call; recursive, since a call may drop its own watch.
  std::recursive_mutex calling;
  bool ended = false;
};

struct Record {
  Revision revision = 0;
  std::vector<Event> events;
  std::size_t bytes = 0;
};

}  // namespace

struct WatchLog::Impl {
  const std::size_t max_events, max_bytes;

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Record> records;
  std::size_t events = 0, bytes = 0;
  Revision forgotten;  // all later ones are in `records`
  Revision last;
  std::vector<std::shared_ptr<Watcher>> watchers;
  bool ending = false;

  std::thread thread;

  Impl(Revision start, std::size_t events_limit, std::size_t bytes_limit)
      : max_events(events_limit), max_bytes(bytes_limit), forgotten(start), last(start) {}

  // `told` from a revision that was never made is of another store.
  bool is_lost(const Watcher& watcher) const {
    return watcher.told < forgotten || watcher.told > last;
  }

  std::shared_ptr<Watcher> next() const {
    const auto found = std::ranges::find_if(watchers, [this](const auto& watcher) {
      return watcher->told != last || is_lost(*watcher);
    });
    return found == watchers.end() ? nullptr : *found;
  }

  std::vector<Event> events_for(Watcher& watcher) const {
    std::vector<Event> found;
    auto record = std::ranges::upper_bound(records, watcher.told, {}, &Record::revision);
    for (; record != records.end() && found.size() < kEventsPerCall; ++record) {
      for (const Event& event : record->events) {
        if (event.key.starts_with(watcher.prefix)) found.push_back(event);
      }
      watcher.told = record->revision;
    }
    return found;
  }

  void run() {
    std::unique_lock lock(mutex);
    while (!ending) {
      const std::shared_ptr<Watcher> watcher = next();
      if (!watcher) {
        changed.wait(lock);
        continue;
      }
      const bool lost = is_lost(*watcher);
      std::vector<Event> found;
      if (!lost) found = events_for(*watcher);
      // The next turn is another's; a lost one gets no other.
      std::erase(watchers, watcher);
      if (!lost) watchers.push_back(watcher);
      if (!lost && found.empty()) continue;

      lock.unlock();
      {
        const std::lock_guard call(watcher->calling);
        if (!watcher->ended) {
          if (lost) {
            if (watcher->calls.on_lost) watcher->calls.on_lost();
          } else {
            watcher->calls.on_events(found);
          }
        }
      }
      lock.lock();
    }
  }
};

namespace {

template <class Log>
class LogWatch final : public Watch {
 public:
  LogWatch(std::shared_ptr<Log> log, std::shared_ptr<Watcher> watcher)
      : log_(std::move(log)), watcher_(std::move(watcher)) {}
  LogWatch(const LogWatch&) = delete;
  LogWatch& operator=(const LogWatch&) = delete;
  ~LogWatch() override {
    {
      const std::lock_guard call(watcher_->calling);
      watcher_->ended = true;
    }
    const std::lock_guard lock(log_->mutex);
    std::erase(log_->watchers, watcher_);
  }

 private:
  std::shared_ptr<Log> log_;
  std::shared_ptr<Watcher> watcher_;
};

}  // namespace

WatchLog::WatchLog(Revision start, std::size_t max_events, std::size_t max_bytes)
    : impl_(std::make_shared<Impl>(start, max_events, max_bytes)) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

WatchLog::~WatchLog() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->ending = true;
  }
  impl_->changed.notify_all();
  impl_->thread.join();
}

void WatchLog::append(std::vector<Event> events) {
  if (events.empty()) return;
  Record record{.revision = events.front().revision, .events = std::move(events)};
  for (const Event& event : record.events)
    record.bytes += sizeof(Event) + event.key.size() + (event.value ? event.value->size() : 0);

  const std::lock_guard lock(impl_->mutex);
  impl_->last = record.revision;
  impl_->events += record.events.size();
  impl_->bytes += record.bytes;
  impl_->records.push_back(std::move(record));
  while (impl_->events > impl_->max_events || impl_->bytes > impl_->max_bytes) {
    const Record& oldest = impl_->records.front();
    impl_->forgotten = oldest.revision;
    impl_->events -= oldest.events.size();
    impl_->bytes -= oldest.bytes;
    impl_->records.pop_front();
  }
  impl_->changed.notify_all();
}

std::unique_ptr<Watch> WatchLog::watch(std::string_view prefix, Revision since,
                                       Store::WatchCalls calls) {
  auto watcher = std::make_shared<Watcher>();
  watcher->prefix = prefix;
  watcher->calls = std::move(calls);
  watcher->told = since;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->watchers.push_back(watcher);
  }
  impl_->changed.notify_all();
  return std::make_unique<LogWatch<Impl>>(impl_, std::move(watcher));
}

}  // namespace aloft::cluster
