#include "cluster/embedded_store.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <future>
#include <limits>
#include <map>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "cluster/store_draft.h"
#include "cluster/store_file.h"
#include "cluster/watch_log.h"

namespace aloft::cluster {
namespace {

constexpr std::size_t kMaxWaiting = 10'000;
// Of one write: more would make the first of them wait for long.
constexpr std::size_t kMaxTogether = 512;
constexpr std::size_t kMaxBytesTogether = std::size_t{4} << 20;
// A lease that has ended and whose end cannot be written is tried again then. Also how late a jump
// of the clock (a machine that slept) is seen.
constexpr std::chrono::milliseconds kLook{500};

// A change that somebody waits for; exactly one of the three.
struct Operation {
  Transaction transaction;
  LeaseId grant = 0;
  std::chrono::seconds ttl{0};
  LeaseId end = 0;

  Result<Committed> outcome = Committed{};  // once it is written
  std::promise<Result<Committed>> answer;
};
using OperationPtr = std::shared_ptr<Operation>;

struct Lease {
  std::chrono::seconds ttl{0};
  BootClock::time_point ends;
  bool ended = false;  // its time is up; it goes as soon as that can be written
};

class Embedded final : public Store {
 public:
  Embedded(StoreFile file, StoreContents contents, EmbeddedOptions options)
      : options_(std::move(options)),
        file_(std::move(file)),
        contents_(std::move(contents)),
        log_(contents_.revision, options_.log_events, options_.log_bytes) {
    const auto now = options_.clock();
    for (const auto& [lease, ttl] : contents_.leases)
      leases_[lease] = {.ttl = ttl, .ends = now + ttl};
    writer_ = std::thread([this] { run(); });
  }
  Embedded(const Embedded&) = delete;
  Embedded& operator=(const Embedded&) = delete;
  ~Embedded() override {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    writer_.join();
  }

  Result<std::optional<Entry>> get(std::string_view key) override {
    const std::shared_lock lock(contents_mutex_);
    const auto found = contents_.entries.find(key);
    if (found == contents_.entries.end()) return std::nullopt;
    return Entry{
        .key = found->first, .value = found->second.value, .revision = found->second.revision};
  }

  Result<Snapshot> list(std::string_view prefix) override {
    Snapshot snapshot;
    const std::shared_lock lock(contents_mutex_);
    snapshot.revision = contents_.revision;
    auto entry = contents_.entries.lower_bound(prefix);
    for (; entry != contents_.entries.end() && entry->first.starts_with(prefix); ++entry) {
      snapshot.entries.push_back(
          {.key = entry->first, .value = entry->second.value, .revision = entry->second.revision});
    }
    return snapshot;
  }

  Result<Committed> commit(const Transaction& transaction) override {
    if (auto fine = check(transaction); !fine) return std::unexpected(fine.error());
    auto operation = std::make_shared<Operation>();
    operation->transaction = transaction;
    return perform(operation);
  }

  Result<LeaseId> grant_lease(std::chrono::seconds ttl) override {
    if (ttl < std::chrono::seconds(1) || ttl > std::chrono::hours(24 * 365))
      return fail(Errc::invalid_argument, "a lease lasts between a second and a year");
    auto operation = std::make_shared<Operation>();
    std::random_device random;
    operation->grant =
        std::uniform_int_distribution<LeaseId>(1, std::numeric_limits<LeaseId>::max())(random);
    operation->ttl = ttl;
    if (auto done = perform(operation); !done) return std::unexpected(done.error());
    return operation->grant;
  }

  Result<void> keep_alive(LeaseId lease) override {
    const std::lock_guard lock(mutex_);
    const auto found = leases_.find(lease);
    if (found == leases_.end() || found->second.ended)
      return fail(Errc::not_found, "the lease " + std::to_string(lease) + " has ended");
    found->second.ends = options_.clock() + found->second.ttl;
    return {};
  }

  Result<void> revoke_lease(LeaseId lease) override {
    auto operation = std::make_shared<Operation>();
    operation->end = lease;
    if (auto done = perform(operation); !done) return std::unexpected(done.error());
    return {};
  }

  Result<std::unique_ptr<Watch>> watch(std::string_view prefix, Revision since,
                                       WatchCalls calls) override {
    if (!calls.on_events) return fail(Errc::invalid_argument, "a watch without on_events");
    return log_.watch(prefix, since, std::move(calls));
  }

 private:
  // Waits until it is written.
  Result<Committed> perform(const OperationPtr& operation) {
    std::future<Result<Committed>> answer = operation->answer.get_future();
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.size() >= kMaxWaiting)
        return fail(Errc::overloaded, "too many changes wait for the disk");
      waiting_.push_back(operation);
    }
    changed_.notify_all();
    if (answer.wait_for(options_.timeout) == std::future_status::ready) return answer.get();
    const std::lock_guard lock(mutex_);
    std::erase(waiting_, operation);
    return fail(Errc::unreachable,
                "the disk took longer than " + std::to_string(options_.timeout.count()) + " ms");
  }

  // The writer's thread; the only one that changes `contents_` or uses the file.
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      std::vector<OperationPtr> next = leases_due();
      while (!waiting_.empty() && next.size() < kMaxTogether) {
        next.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
      if (next.empty()) {
        if (ending_) return;
        wait(lock);
        continue;
      }
      lock.unlock();
      write(next);
      lock.lock();
    }
  }

  // With the lock.
  std::vector<OperationPtr> leases_due() {
    std::vector<OperationPtr> due;
    if (ending_) return due;
    const auto now = options_.clock();
    for (auto& [id, lease] : leases_) {
      if (lease.ends > now || due.size() == kMaxTogether) continue;
      lease.ended = true;
      due.push_back(std::make_shared<Operation>());
      due.back()->end = id;
    }
    return due;
  }

  void wait(std::unique_lock<std::mutex>& lock) {
    if (leases_.empty()) {
      changed_.wait(lock);
      return;
    }
    BootClock::duration left = kLook;
    const auto now = options_.clock();
    for (const auto& [id, lease] : leases_) left = std::min(left, lease.ends - now);
    changed_.wait_for(lock, std::max(left, BootClock::duration(std::chrono::milliseconds(1))));
  }

  // In pieces that are not too long.
  void write(std::span<const OperationPtr> operations) {
    while (!operations.empty()) {
      std::size_t count = 0, bytes = 0;
      while (count < operations.size() && bytes < kMaxBytesTogether) {
        for (const Change& change : operations[count]->transaction.changes)
          bytes += change.value ? change.value->size() : 0;
        ++count;
      }
      const auto piece = operations.first(count);
      operations = operations.subspan(count);
      const auto written = write_together(piece);
      if (written) continue;
      // What is too much for the disk together may not be so alone. After any other failure nobody
      // knows what was written, and nothing is done twice.
      if (piece.size() == 1 || written.error().code != Errc::resource_exhausted) {
        for (const OperationPtr& operation : piece) give_up(*operation, written.error());
        continue;
      }
      for (const OperationPtr& operation : piece) {
        if (const auto alone = write_together(std::span(&operation, 1)); !alone)
          give_up(*operation, alone.error());
      }
    }
  }

  Result<void> write_together(std::span<const OperationPtr> operations) {
    StoreDraft draft(contents_);
    for (const OperationPtr& operation : operations) {
      if (operation->grant != 0) {
        draft.grant_lease(operation->grant, operation->ttl);
        operation->outcome = Committed{.succeeded = true};
      } else if (operation->end != 0) {
        operation->outcome = draft.end_lease(operation->end);
      } else {
        operation->outcome = draft.apply(operation->transaction);
      }
    }
    if (!draft.changes().empty()) {
      if (auto written = file_.write(draft.changes()); !written) return written;
      std::vector<std::vector<Event>> events;
      {
        const std::unique_lock lock(contents_mutex_);
        events = std::move(draft).apply_to(contents_);
      }
      for (std::vector<Event>& of_revision : events) log_.append(std::move(of_revision));
    }
    for (const OperationPtr& operation : operations) {
      time_lease(*operation);
      operation->answer.set_value(std::move(operation->outcome));
    }
    return {};
  }

  void time_lease(const Operation& operation) {
    if (operation.grant == 0 && operation.end == 0) return;
    const std::lock_guard lock(mutex_);
    leases_.erase(operation.end);
    if (operation.grant != 0)
      leases_[operation.grant] = {.ttl = operation.ttl, .ends = options_.clock() + operation.ttl};
  }

  void give_up(Operation& operation, const Error& why) {
    if (operation.end != 0) {
      const std::lock_guard lock(mutex_);
      if (const auto found = leases_.find(operation.end);
          found != leases_.end() && found->second.ended)
        found->second.ends = options_.clock() + kLook;
    }
    operation.answer.set_value(std::unexpected(why));
  }

  const EmbeddedOptions options_;
  StoreFile file_;

  std::shared_mutex contents_mutex_;
  StoreContents contents_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<OperationPtr> waiting_;
  std::map<LeaseId, Lease> leases_;
  bool ending_ = false;

  WatchLog log_;
  std::thread writer_;
};

}  // namespace

Result<std::unique_ptr<Store>> EmbeddedStore::open(const std::filesystem::path& file,
                                                   EmbeddedOptions options) {
  auto opened = StoreFile::open(file, options.survives);
  if (!opened) return std::unexpected(opened.error());
  auto contents = opened->load();
  if (!contents) return std::unexpected(contents.error());
  return std::make_unique<Embedded>(std::move(*opened), std::move(*contents), std::move(options));
}

}  // namespace aloft::cluster
