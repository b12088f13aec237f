// What a program tells of its last calls (device/explain/timeline.h) as spans, each a part of the
// one before it or of the call, and as the two formats that others read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <aloft/result.h>

namespace aloft::cli {

enum class Side : std::uint8_t { device, edge };

struct Span {
  std::string name;
  Side side = Side::device;
  std::uint64_t edge = 0;  // which, where it is on that side
  std::int64_t begin = 0;  // nanoseconds of the device's steady clock
  std::int64_t end = 0;
  std::size_t parent = 0;  // index among the call's; of the first, itself
  nlohmann::ordered_json facts = nlohmann::ordered_json::object();
};

// A call: its first span is all of it. On the device these follow, of a call at the edge: encode,
// to the edge, at the edge, reply, decode; then those of the edge: the call there, decode images,
// queue, guest, inference. Within the guest's time only the length of inference is known: it is put
// in the middle.
struct CallTrace {
  std::uint64_t number = 0;
  std::vector<Span> spans;
};

struct Timeline {
  std::string program;
  std::int64_t pid = 0;
  std::int64_t unix_minus_steady = 0;  // nanoseconds
  std::vector<CallTrace> calls;        // by when they began
};

// Errors: protocol (it is no such document).
[[nodiscard]] Result<Timeline> read_timeline(const std::string& document);

// The trace event format, which Perfetto (ui.perfetto.dev) opens: a process for
// the device and for each edge, a track for each call that is under way at a time, arrows to the
// edge and back.
[[nodiscard]] std::string to_trace_events(const Timeline& timeline);
// One ExportTraceServiceRequest of OpenTelemetry's protocol in its JSON encoding, as a collector
// takes it: a trace a call, a resource for the device and for each edge.
[[nodiscard]] std::string to_otlp(const Timeline& timeline);

}  // namespace aloft::cli
