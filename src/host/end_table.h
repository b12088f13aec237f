// The movable ends of this process, by end and epoch. They outlive the session that attached them:
// a UE whose link is lost, or that comes from another network, finds its object as it left it.
//
//     add ----> bound ----- park (its link is lost) -----> parked
//                 | ^                                        |  |
//                 | +------------ resume (by whom knows -----+  | the grace is over
//                 |                        the id)              |
//                 +-- over (Detach, Lost) --> ending <----------+
//                                               |
//                                               +--> gone, once nothing of it runs
//
// What ends is waited for by a thread of the table's own. It stays in sight meanwhile: what runs in
// it may be what does not end.
//
// Bounded: ends by session and in all, and the bytes of what they keep (held_bytes.h). A parked end
// counts for the session that had it last.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "host/end_runner.h"
#include "host/held_bytes.h"
#include <aloft/result.h>

namespace aloft::host {

struct EndLimits {
  std::size_t ends = 128;                   // in this process; each has a thread and an instance
  std::size_t session_ends = 32;            // of one session
  std::uint64_t bytes = 1ULL << 30U;        // of arguments, answers and states that they keep
  std::uint64_t body = 64U << 20U;          // of one of these
  std::uint32_t in_flight = 64;             // deliveries of one end that may be unanswered
  std::chrono::milliseconds grace{10'000};  // for an end without a link
};

// Thread rule: any thread; only close() and wait_until_gone() block.
class EndTable {
 public:
  explicit EndTable(const EndLimits& limits);
  ~EndTable();  // close()
  EndTable(const EndTable&) = delete;
  EndTable& operator=(const EndTable&) = delete;

  // Takes no more, ends all, and waits until nothing of them runs.
  void close();

  [[nodiscard]] const EndLimits& limits() const { return limits_; }
  [[nodiscard]] HeldBytes& held() { return held_; }

  // A new end, bound to this session and not started yet. Errors: overloaded (too many ends),
  // refused (there is one of this key, which the UE had to choose anew).
  [[nodiscard]] Result<std::shared_ptr<EndRunner>> add(const EndKey& key, EndContext context,
                                                       const function::AttachTerms& terms);
  // The end, which is this session's from here on. Null: not known.
  [[nodiscard]] std::shared_ptr<EndRunner> resume(const EndKey& key, std::uint64_t session);
  // Its link is lost: it has the grace time from now on.
  void park(const EndKey& key);

  // What does not end though it was told to, or its time is over.
  [[nodiscard]] std::optional<OverdueEnd> overdue(Clock::time_point now) const;
  void give_up(const EndKey& key, const Error& why);

  [[nodiscard]] std::size_t size() const;  // those that are ending not counted
  // Whether all ends were gone before `limit` was over. For tests.
  [[nodiscard]] bool wait_until_gone(std::chrono::milliseconds limit);

 private:
  struct Entry {
    std::shared_ptr<EndRunner> runner;
    std::uint64_t session = 0;
    std::optional<Clock::time_point> until;  // parked
  };

  void work();
  void end(const EndKey& key, const EndRunner& runner);
  void end_entry(std::map<EndKey, Entry>::iterator entry);  // with the mutex held
  [[nodiscard]] Clock::time_point next_grace() const;       // with the mutex held

  const EndLimits limits_;
  HeldBytes held_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<EndKey, Entry> ends_;
  std::vector<std::shared_ptr<EndRunner>> ending_;
  bool closing_ = false;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace aloft::host
