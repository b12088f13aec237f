// Which inference runs next: requests of many tenants wait here, and leave in batches.
//
//   - Tenants take turns; within one, the oldest request goes first.
//   - A tenant has at most so many inferences at a time, and as much processor time as its sessions
//     have been promised: after an inference it waits until that time is paid back.
//   - There are so many slots; a tenant that has none running gets one all the same, so that the
//     endless inferences of one cannot lock another one out. What is beyond shares the processors.
//   - A request for a model that may be batched waits for others, if there are any who might bring
//     one, at most BatchQueueOptions::wait; other requests pass it meanwhile.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "inference/service/job.h"

namespace aloft::inference::service {

struct BatchQueueOptions {
  int slots = 2;
  int threads = 1;  // of one inference
  std::chrono::microseconds wait{2000};
};

struct TenantShare {
  int inferences = 2;                // at a time
  std::uint32_t cpu_millicores = 0;  // 0: not limited
};

using Batch = std::vector<std::shared_ptr<Job>>;

// Thread rule: any thread.
class BatchQueue {
 public:
  using Clock = std::chrono::steady_clock;
  explicit BatchQueue(const BatchQueueOptions& options) : options_(options) {}

  void set_share(const std::string& tenant, const TenantShare& share);
  // Of a tenant that has nothing here any more.
  void forget(const std::string& tenant);

  void push(std::shared_ptr<Job> job);
  // True: it waited, and will not run.
  [[nodiscard]] bool remove(const Job& job);

  // Waits for the next batch; empty: the queue is closed.
  [[nodiscard]] Batch take();
  // The next batch at `now`, or when to look again. For take(), and tests.
  struct Look {
    Batch batch;
    std::optional<Clock::time_point> again;
  };
  [[nodiscard]] Look look(Clock::time_point now);
  // `batch`, as it was taken, has taken so long.
  void done(const Batch& batch, std::chrono::nanoseconds time);
  void close();

  // A place from which `model` is computed came, or went: how many might still bring a request.
  void add_user(const ServedModel& model, const std::string& tenant, int change);
  // Threads that wait in take().
  [[nodiscard]] int idle() const;

 private:
  struct Tenant {
    TenantShare share;
    int running = 0;
    Clock::time_point paid_until{};  // not before this
    std::deque<std::shared_ptr<Job>> waiting;
  };

  [[nodiscard]] Look look_locked(Clock::time_point now);
  [[nodiscard]] bool has_room(const Tenant& tenant) const;
  [[nodiscard]] Batch gather(const std::shared_ptr<Job>& first, Clock::time_point now) const;
  [[nodiscard]] bool may_come(const Batch& batch) const;
  void leave(const Batch& batch);

  const BatchQueueOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Tenant> tenants_;
  std::string last_;  // whose turn it was
  int running_ = 0;
  std::map<const ServedModel*, std::map<std::string, int>> users_;
  std::map<const ServedModel*, int> computing_;  // requests
  int idle_ = 0;
  bool closed_ = false;
};

}  // namespace aloft::inference::service
