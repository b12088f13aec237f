// What a host shows at /metrics. All names begin `aloft_host_`; there is one of each for a tenant
// or a module at most, within the bounds of the host and of call_table.h.
#pragma once

#include <functional>

#include "host/control/offload_handler.h"
#include "ops/metrics.h"

namespace aloft::host {

// What is not the handler's.
struct HostState {
  std::function<bool()> known;  // a manager has answered within the last lease
  std::function<bool()> draining;
};

// `handler`, and what `state` uses, outlive `metrics`.
void add_host_metrics(ops::Metrics& metrics, OffloadHandler& handler, HostState state);

}  // namespace aloft::host
