#include "device/explain/timeline.h"

#include <algorithm>

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace aloft::device {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

std::int64_t ns(steady_clock::time_point time) {
  return nanoseconds(time.time_since_epoch()).count();
}

Json described(const function::CallTiming& call, nanoseconds round_trip) {
  const bool here = call.location.is_here();
  Json json{{"number", call.number},
            {"function", call.function},
            {"place", to_string(here ? Place::here : Place::edge)}};
  if (!here) json["edge"] = call.location.number() - 1;
  json["start_ns"] = ns(call.start);
  json["end_ns"] = ns(call.end);
  if (call.here_run.count() > 0) json["here_run_ns"] = call.here_run.count();
  if (call.tx_bytes > 0) json["tx_bytes"] = call.tx_bytes;
  if (call.rx_bytes > 0) json["rx_bytes"] = call.rx_bytes;
  if (call.fell_back) json["fell_back"] = true;
  if (call.hedged) json["hedged"] = true;
  if (call.error) json["error"] = to_string(*call.error);
  if (!call.way) return json;
  json["encode_ns"] = ns(call.way->encode);
  json["sent_ns"] = ns(call.way->sent);
  json["answered_ns"] = ns(call.way->answered);
  const EdgeMoment at = edge_moment(call.way->sent, call.way->answered,
                                    call.edge_decode + call.edge_queue + call.edge_run, round_trip);
  json["edge_begin_ns"] = ns(at.begin);
  json["earlier_ns"] = at.earlier.count();
  json["later_ns"] = at.later.count();
  if (call.edge_decode.count() > 0) json["decode_ns"] = call.edge_decode.count();
  json["queue_ns"] = call.edge_queue.count();
  json["run_ns"] = call.edge_run.count();
  if (call.edge_inference.count() > 0) json["inference_ns"] = call.edge_inference.count();
  return json;
}

}  // namespace

EdgeMoment edge_moment(steady_clock::time_point sent, steady_clock::time_point answered,
                       nanoseconds at_edge, nanoseconds round_trip) {
  // An edge says microseconds, rounded: it may have been there for longer than there was time.
  const nanoseconds left = std::max(nanoseconds(0), nanoseconds(answered - sent) - at_edge);
  const nanoseconds back = (round_trip.count() > 0 ? std::min(round_trip, left) : left) / 2;
  return {
      .begin = std::max(sent, answered - back - at_edge), .earlier = left - back, .later = back};
}

std::string timeline_document(const std::string& program,
                              std::span<const function::CallTiming> calls,
                              std::span<const nanoseconds> round_trips) {
  Json json{{"pid", ::getpid()}, {"program", program}};
  const auto unix_now = std::chrono::system_clock::now().time_since_epoch();
  json["clock"] = {{"steady_ns", ns(steady_clock::now())},
                   {"unix_ns", nanoseconds(unix_now).count()}};
  json["calls"] = Json::array();
  for (const function::CallTiming& call : calls) {
    const std::size_t edge = call.location.number();
    const bool known = edge > 0 && edge <= round_trips.size();
    json["calls"].push_back(described(call, known ? round_trips[edge - 1] : nanoseconds(0)));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace aloft::device
