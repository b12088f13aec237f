#include "function/call_timeline.h"

#include <algorithm>

namespace aloft::function {

void CallTimeline::answered(std::uint64_t number, const CallTiming::Way& way) {
  const std::lock_guard lock(mutex_);
  Slot& slot = slots_[number % kKept];
  slot.way = way;
  slot.way_of = number;
}

void CallTimeline::ended(const CallRecord& record) {
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  Slot& slot = slots_[record.number % kKept];
  if (slot.call && slot.call->number > record.number) return;  // it took longer than all these
  CallTiming& call = slot.call.emplace();
  call.number = record.number;
  call.function = record.function;
  call.location = record.location;
  call.start = now - record.latency;
  call.end = now;
  call.here_run = record.here_run;
  call.edge_queue = record.edge_queue;
  call.edge_run = record.edge_run;
  call.edge_inference = record.edge_inference;
  call.edge_decode = record.images.decode;
  call.tx_bytes = record.tx_bytes;
  call.rx_bytes = record.rx_bytes;
  call.fell_back = record.fell_back;
  call.hedged = record.hedged;
  if (record.error) call.error = record.error->code;
  if (slot.way && slot.way_of == record.number && record.place == Place::edge) call.way = slot.way;
}

std::vector<CallTiming> CallTimeline::recent() const {
  std::vector<CallTiming> calls;
  {
    const std::lock_guard lock(mutex_);
    for (const Slot& slot : slots_) {
      if (slot.call) calls.push_back(*slot.call);
    }
  }
  std::ranges::sort(calls, {}, &CallTiming::number);
  return calls;
}

}  // namespace aloft::function
