// The last calls of a runtime on one clock, as `aloft trace` is told of them: one JSON document,
//
//   {"pid", "program", "clock": {"steady_ns", "unix_ns"},    of one moment
//    "calls": [{"number", "function", "place", "edge", "start_ns", "end_ns", "here_run_ns",
//               "tx_bytes", "rx_bytes", "fell_back", "hedged", "error",
//               "encode_ns", "sent_ns", "answered_ns",
//               "edge_begin_ns", "earlier_ns", "later_ns",
//               "decode_ns", "queue_ns", "run_ns", "inference_ns"}]}
//
// What is not known is not in it. `*_ns` of moments are of the device's steady clock, those of
// decode, queue, run and inference are lengths.
//
// An edge's clock is never read. It says how long it was at a call (decoding, waiting, running),
// and that was within the time from the call's leaving to its reply's arrival; what is left of
// that time was spent on the way, to and fro. How much of it on the way back is the guess: half a
// round trip of the channel, as its heartbeats measure it, since a reply is small; never more than
// half of what is left. So the edge began at
//
//   edge_begin = answered - back - (decode + queue + run),    back = min(round trip, left) / 2
//
// and the truth is at most `later = back` later, or `earlier = left - back` earlier, whatever the
// network did. A round trip that the channel has not measured yet is taken for `left`.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "function/call_timeline.h"

namespace aloft::device {

// When an edge was at a call, on the device's clock, and by how much that may be wrong.
struct EdgeMoment {
  std::chrono::steady_clock::time_point begin{};
  std::chrono::nanoseconds earlier{};
  std::chrono::nanoseconds later{};
};
// `round_trip`: of the channel; 0: not measured. `at_edge`: how long the edge was at it.
[[nodiscard]] EdgeMoment edge_moment(std::chrono::steady_clock::time_point sent,
                                     std::chrono::steady_clock::time_point answered,
                                     std::chrono::nanoseconds at_edge,
                                     std::chrono::nanoseconds round_trip);

// `round_trips`: of the channel to each edge, by index.
[[nodiscard]] std::string timeline_document(const std::string& program,
                                            std::span<const function::CallTiming> calls,
                                            std::span<const std::chrono::nanoseconds> round_trips);

}  // namespace aloft::device
