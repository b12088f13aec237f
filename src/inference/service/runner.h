// Runs the batches of a queue on an engine, on as many threads as there is something to do for, and
// writes the results to where their requests want them.
//
// What lies in shared memory is copied into memory of this process before an engine sees it: a
// kernel may read a value twice, and a client may change it in between. Results are copied out for
// requests that nobody cancelled.
#pragma once

#include <chrono>
#include <list>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "inference/service/batch_queue.h"
#include "inference/service/crash_journal.h"

namespace aloft::inference::service {

// Thread rule: any thread.
class Runner {
 public:
  // `queue` and `journal` (may be null) are borrowed. At most `most` threads.
  Runner(BatchQueue& queue, CrashJournal* journal, int most);
  ~Runner();  // the queue must be closed: waits for what runs

  // There is more to do now.
  void nudge();
  // Nobody wants the results of `job` any more. One that runs ends when that is so for all of its
  // batch.
  void cancel(Job& job);
  // A model whose inference runs on, so long after nobody wanted it any more.
  [[nodiscard]] std::optional<Digest> stuck(std::chrono::milliseconds limit) const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Running {
    const Batch& batch;
    std::stop_source stop{};
    std::optional<Clock::time_point> unwanted{};  // since
  };

  void work();
  void run(const Batch& batch);
  void run_alone(const std::shared_ptr<Job>& job, std::stop_token stop);
  // Errors: what the engine says, or that its outputs are no rows; nobody was answered then.
  [[nodiscard]] Result<void> compute(const Batch& batch, Workplace& place, std::stop_token stop);
  static void answer(Job& job, const Execution& execution, std::size_t row, std::size_t rows);
  static void answer(Job& job, const remote::Message& message);

  BatchQueue& queue_;
  CrashJournal* const journal_;
  const int most_;
  mutable std::mutex mutex_;
  std::list<Running> running_;
  std::vector<std::thread> threads_;
};

}  // namespace aloft::inference::service
