// A trace: how link, device and edge were at each moment of a stretch of time. What a call would
// have taken then follows from it (world.h), for any function and any choice of places.
//
// Traces are generated from what measurement studies published (generate.h), or recorded by
// `apps/detect --record-trace FILE` (recording.h).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace aloft::bench {

struct Conditions {
  bool up = true;            // the link carries something
  double round_trip_ms = 0;  // of a small message
  double uplink_mbps = 0;    // Mbit/s that one transfer gets
  double downlink_mbps = 0;
  double stall_ms = 0;       // a call that begins now is held up by so much: a hand-over
  double device_load = 1;    // a run here takes so many times as long: other programs
  double device_speed = 1;   // and so many times less: the processor's frequency, 0..1
  double edge_load = 1;      // a run at the edge takes so many times as long
  double edge_queue_ms = 0;  // and waits for so long before
};

// How single calls scatter around the conditions: standard deviations of logarithms. 0: not at all,
// as in a recording, whose lines have scattered already.
struct Scatter {
  double here = 0;
  double edge = 0;
  double round_trip = 0;
  double transfer = 0;
};

struct Trace {
  std::string name;
  double step_s = 0.05;          // between two rows
  std::vector<Conditions> rows;  // never empty
  Scatter scatter{};

  // The conditions `seconds` after the trace began. It starts again at its end.
  [[nodiscard]] const Conditions& at(double seconds) const {
    return rows[static_cast<std::size_t>(seconds / step_s + 1e-9) % rows.size()];
  }
};

// What is called, once for each frame.
struct Workload {
  std::string name;
  double input_bytes = 0;  // on the wire
  double reply_bytes = 0;
  double here_ms = 0;  // on the idle device at full speed
  double edge_ms = 0;  // at an idle edge
  double pace_ms = 0;  // a frame begins so long after the one before, or when that one ends
};

}  // namespace aloft::bench
