// Traces that apps/detect has recorded (--record-trace): each of its frames computed in both
// places, one after the other, so that a line tells what either choice would have cost.
//
// Lines of CSV under a header:
//
//   at_ms         since the first frame
//   input_bytes   on the wire, and reply_bytes
//   here_ms       the run on the device
//   edge_ms       call to result, at the edge: of which
//   edge_run_ms   and edge_queue_ms passed there
//   round_trip_ms of a small message
//
// What a line says of the link is its rate: input and reply in what edge_ms leaves after the
// others.
#pragma once

#include <filesystem>

#include "conditions.h"
#include <aloft/result.h>

namespace aloft::bench {

struct Recording {
  Trace trace;        // it does not scatter: its lines have
  Workload workload;  // the function that was recorded, at the pace that it was
};

// Errors: not_found; corrupt (names the line, and what is wrong with it).
[[nodiscard]] Result<Recording> read_recording(const std::filesystem::path& file);

}  // namespace aloft::bench
