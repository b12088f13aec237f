// What a runtime says when it is asked to explain itself, as one JSON document:
//
//   {"pid", "program", "policy",
//    "device": {what is known of DeviceState},
//    "edges": [{"ready", "round_trip_ms", "tx_bytes", "rx_bytes"}],
//    "functions": [{"name", "calls", "before", "here": forecast, "edge": forecast}],
//    "decisions": [{"number", "function", "place", "edge", "reason"}]}          oldest first
//   forecast: {"p50_ms", "p90_ms", "millijoules", "energy", "observations", "age_s"}
//
// What is not known is not in it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "device/notifier.h"
#include <aloft/call_record.h>
#include <aloft/policy.h>

namespace aloft::device {

struct Explanation {
  std::string program;  // the file's name
  std::string policy;   // Policy::name()
  std::vector<Notifier::LinkCount> edges;
  // Of the last call of each function, for a policy that needs forecasts.
  std::vector<CallContext> functions;
  std::vector<DecisionRecord> decisions;
};

[[nodiscard]] std::string document(const Explanation& explanation);

// The file's name of this process's program.
[[nodiscard]] std::string this_program();

}  // namespace aloft::device
