// What an EmbeddedStore tells its watches: the last changes, bounded, and the thread that calls
// them.
//
// A watch is told at its own pace; only how far it came is kept for it. One that is so slow that
// the log has forgotten what comes next is told so, and ends.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/store.h"

namespace aloft::cluster {

// Thread rule: any thread; append() by one at a time.
class WatchLog {
 public:
  // Nothing up to `start` is known.
  WatchLog(Revision start, std::size_t max_events, std::size_t max_bytes);
  ~WatchLog();  // no call is made after it; not from such a call
  WatchLog(const WatchLog&) = delete;
  WatchLog& operator=(const WatchLog&) = delete;

  // The events of one revision, higher than all before.
  void append(std::vector<Event> events);
  [[nodiscard]] std::unique_ptr<Watch> watch(std::string_view prefix, Revision since,
                                             Store::WatchCalls calls);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // a watch that outlives the log finds it still
};

}  // namespace aloft::cluster
