// Where the calls of one module are counted as they end: once for whoever judges a version of it
// (CallCounts, which leaves out what is not the module's doing), once for those who operate the
// host (CallFigures, which has all). Who ends a call says so once, here.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "host/call_counts.h"
#include "host/call_figures.h"
#include <aloft/result.h>

namespace aloft::host {

// Either may be null: not counted there. Thread rule: any thread.
struct CallCounters {
  std::shared_ptr<ModuleCounter> judged{};
  std::shared_ptr<CallCounter> shown{};

  // None: well.
  void called(std::optional<Errc> error, std::chrono::nanoseconds took) const {
    if (judged) judged->called(error, took);
    if (shown) shown->note(took, error ? CallOutcome::failed : CallOutcome::done);
  }
};

}  // namespace aloft::host
