// What the Execution Handlers of a host say of their calls, added up by tenant and module. Their
// word is not believed further than this: names are cut and bounded in number, so that a process
// that was taken over fills neither memory nor a monitoring system.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "host/call_figures.h"

namespace aloft::host {

// Thread rule: any thread.
class CallTable {
 public:
  // Of one tenant at most `of_tenant` modules, in all `in_all`; what is more is one, "other".
  explicit CallTable(std::size_t of_tenant = 32, std::size_t in_all = 256)
      : of_tenant_(of_tenant), in_all_(in_all) {}

  void add(const std::string& tenant, CallFigures::Module module);

  struct Row {
    std::string tenant, module, digest;
    CallTimes all;     // since the start of the host
    CallTimes recent;  // of the last minute, or up to two
  };
  [[nodiscard]] std::vector<Row> rows();

 private:
  using Clock = std::chrono::steady_clock;
  using Key = std::tuple<std::string, std::string, std::string>;
  struct Counts {
    CallTimes all, now, before;  // of this minute and of the last one
  };
  void turn();  // with the mutex held

  const std::size_t of_tenant_, in_all_;
  std::mutex mutex_;
  std::map<Key, Counts> counts_;
  std::map<std::string, std::size_t> modules_;  // by tenant
  Clock::time_point since_ = Clock::now();      // of `now`
};

}  // namespace aloft::host
