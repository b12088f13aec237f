// When the last calls were made and ended, and how their time was spent: for `aloft trace`.
//
// All times are of this process's steady clock. What an edge says of a call are lengths alone (how
// long it waited there, and ran), so that no clocks have to agree; when that was is known from when
// the call left and its reply came: device/explain/timeline.h.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include <aloft/call_record.h>
#include <aloft/place.h>

namespace aloft::function {

struct CallTiming {
  using TimePoint = std::chrono::steady_clock::time_point;

  std::uint64_t number = 0;   // CallRecord::number
  std::string_view function;  // qualified name
  Location location = Location::here();
  TimePoint start{};
  TimePoint end{};
  std::chrono::nanoseconds here_run{};  // as in CallRecord, what follows as well
  std::chrono::nanoseconds edge_queue{};
  std::chrono::nanoseconds edge_run{};
  std::chrono::nanoseconds edge_inference{};
  std::chrono::nanoseconds edge_decode{};
  std::uint64_t tx_bytes = 0;
  std::uint64_t rx_bytes = 0;
  bool fell_back = false;
  bool hedged = false;
  std::optional<Errc> error{};

  // To the edge that answered, and back; absent for methods of objects, and where none did.
  struct Way {
    TimePoint encode{};    // its arguments began to be encoded
    TimePoint sent{};      // it was handed to the link, which may still wait for a free buffer
    TimePoint answered{};  // its reply was there
  };
  std::optional<Way> way{};
};

// Thread rule: any thread. A call costs one or two short locks.
class CallTimeline {
 public:
  static constexpr std::size_t kKept = 2048;  // calls

  CallTimeline() : slots_(kKept) {}

  void answered(std::uint64_t number, const CallTiming::Way& way);
  // The call has ended, now.
  void ended(const CallRecord& record);

  // Those that have ended, in the order of their numbers.
  [[nodiscard]] std::vector<CallTiming> recent() const;

 private:
  struct Slot {
    std::optional<CallTiming> call;
    std::optional<CallTiming::Way> way;
    std::uint64_t way_of = 0;
  };

  mutable std::mutex mutex_;
  std::vector<Slot> slots_;  // the call N is in N % kKept, until a later one is
};

}  // namespace aloft::function
