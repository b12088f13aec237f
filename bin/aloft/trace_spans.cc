#include "trace_spans.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/ids.h"

namespace aloft::cli {
namespace {

using Json = nlohmann::ordered_json;

std::int64_t number_of(const Json& call, const char* key) {
  return call.value(key, std::int64_t{0});
}

// From begin to end, within its parent's.
void add(CallTrace& call, std::size_t parent, Side side, std::string name, std::int64_t begin,
         std::int64_t end) {
  const Span& outer = call.spans[parent];
  begin = std::clamp(begin, outer.begin, outer.end);
  call.spans.push_back({.name = std::move(name),
                        .side = side,
                        .edge = call.spans.front().edge,
                        .begin = begin,
                        .end = std::clamp(end, begin, outer.end),
                        .parent = parent});
}

void add_edge(CallTrace& call, const Json& told) {
  const std::int64_t begin = number_of(told, "edge_begin_ns");
  const std::int64_t decode = number_of(told, "decode_ns");
  const std::int64_t queue = number_of(told, "queue_ns");
  const std::int64_t run = number_of(told, "run_ns");
  const std::int64_t inference = number_of(told, "inference_ns");
  const std::int64_t end = begin + decode + queue + run;
  const std::int64_t sent = number_of(told, "sent_ns");
  const std::int64_t answered = number_of(told, "answered_ns");
  add(call, 0, Side::device, "encode", number_of(told, "encode_ns"), sent);
  add(call, 0, Side::device, "to the edge", sent, begin);
  add(call, 0, Side::device, "at the edge", begin, end);
  add(call, 0, Side::device, "reply", end, answered);
  add(call, 0, Side::device, "decode", answered, call.spans.front().end);

  const std::size_t there = call.spans.size();
  add(call, 0, Side::edge, call.spans.front().name, begin, end);
  call.spans.back().facts = {{"clock_may_be_earlier_us", number_of(told, "earlier_ns") / 1000},
                             {"clock_may_be_later_us", number_of(told, "later_ns") / 1000}};
  std::int64_t at = begin;
  if (decode > 0) add(call, there, Side::edge, "decode images", at, at + decode);
  at += decode;
  add(call, there, Side::edge, "queue", at, at + queue);
  at += queue;
  const std::size_t guest = call.spans.size();
  add(call, there, Side::edge, "guest", at, at + run);
  if (inference <= 0) return;
  const std::int64_t before = std::max<std::int64_t>(0, run - inference) / 2;
  add(call, guest, Side::edge, "inference", at + before, at + before + inference);
  call.spans.back().facts = {{"note", "its length is measured, its beginning is not"}};
}

CallTrace spans_of(const Json& told) {
  CallTrace call{.number = told.at("number").get<std::uint64_t>(), .spans = {}};
  Span& all = call.spans.emplace_back();
  all.name = told.at("function").get<std::string>();
  all.edge = told.value("edge", std::uint64_t{0});
  all.begin = told.at("start_ns").get<std::int64_t>();
  all.end = std::max(all.begin, told.at("end_ns").get<std::int64_t>());
  for (const char* const fact :
       {"number", "place", "edge", "tx_bytes", "rx_bytes", "fell_back", "hedged", "error"}) {
    if (told.contains(fact)) all.facts[fact] = told.at(fact);
  }
  const std::int64_t here = number_of(told, "here_run_ns");
  if (told.contains("edge_begin_ns")) {
    add_edge(call, told);
  } else if (here > 0) {
    add(call, 0, Side::device, "run", all.end - here, all.end);
  }
  return call;
}

// --- Trace events

constexpr std::uint64_t kDevice = 1;  // as the number of a process; edge n is kDevice + 1 + n

std::uint64_t process_of(const Span& span) {
  return span.side == Side::device ? kDevice : kDevice + 1 + span.edge;
}

// A tenth of a nanosecond more: a reader that cuts off what is less than one would else make some
// lengths a nanosecond shorter than what is within them, and drop that.
double microseconds(std::int64_t ns) { return (static_cast<double>(ns) + 0.1) / 1000; }

// A track for each call that is under way at a time: slices of one track are nested or apart.
std::vector<std::uint64_t> tracks(const std::vector<CallTrace>& calls) {
  std::vector<std::int64_t> free_from;
  std::vector<std::uint64_t> chosen;
  for (const CallTrace& call : calls) {
    const Span& all = call.spans.front();
    auto track = std::ranges::find_if(free_from, [&](std::int64_t at) { return at <= all.begin; });
    if (track == free_from.end()) track = free_from.insert(free_from.end(), 0);
    *track = all.end;
    chosen.push_back(static_cast<std::uint64_t>(track - free_from.begin()) + 1);
  }
  return chosen;
}

Json named(const char* what, std::uint64_t process, std::uint64_t track, const std::string& name) {
  return {
      {"ph", "M"}, {"name", what}, {"pid", process}, {"tid", track}, {"args", {{"name", name}}}};
}

// An arrow from a span to a later one, of which none has another: from its very slice, which a
// place in time would not say where several begin at once. One that takes no time has no direction.
void add_arrow(Json& from, Json& to, std::uint64_t number) {
  if (from.at("ts") >= to.at("ts")) return;
  char id[20];
  std::snprintf(id, sizeof id, "0x%llx", static_cast<unsigned long long>(number));
  from["bind_id"] = to["bind_id"] = id;
  from["flow_out"] = true;
  to["flow_in"] = true;
}

// --- OTLP

Json attribute(const std::string& key, const Json& value) {
  Json one;
  if (value.is_boolean()) {
    one["boolValue"] = value;
  } else if (value.is_number_integer()) {
    one["intValue"] = value.dump();  // 64 bits are text in JSON of protocol buffers
  } else {
    one["stringValue"] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  return {{"key", key}, {"value", std::move(one)}};
}

std::string span_id(const CallTrace& call, std::size_t index) {
  char text[17];
  std::snprintf(text, sizeof text, "%012llx%04zx",
                static_cast<unsigned long long>(call.number & 0xffffffffffffULL), index + 1);
  return text;
}

Json otlp_span(const Timeline& timeline, const CallTrace& call, std::size_t index,
               const std::string& trace) {
  const Span& span = call.spans[index];
  Json json{{"traceId", trace}, {"spanId", span_id(call, index)}};
  if (index != 0) json["parentSpanId"] = span_id(call, span.parent);
  json["name"] = span.name;
  // SPAN_KIND_CLIENT, SERVER, INTERNAL.
  const bool enters = span.side == Side::edge && call.spans[span.parent].side == Side::device;
  json["kind"] = index == 0 ? 3 : enters ? 2 : 1;
  json["startTimeUnixNano"] = std::to_string(span.begin + timeline.unix_minus_steady);
  json["endTimeUnixNano"] = std::to_string(span.end + timeline.unix_minus_steady);
  json["attributes"] = Json::array();
  for (const auto& [key, value] : span.facts.items())
    json["attributes"].push_back(attribute("aloft." + key, value));
  if (span.facts.contains("error"))
    json["status"] = {{"code", 2}, {"message", span.facts.at("error")}};
  return json;
}

}  // namespace

Result<Timeline> read_timeline(const std::string& document) {
  const auto wrong = [] { return fail(Errc::protocol, "what answers tells no timeline"); };
  const Json json = Json::parse(document, nullptr, false);
  if (!json.is_object() || !json.contains("calls")) return wrong();
  try {
    Timeline timeline;
    timeline.program = json.at("program").get<std::string>();
    timeline.pid = json.at("pid").get<std::int64_t>();
    timeline.unix_minus_steady = json.at("clock").at("unix_ns").get<std::int64_t>() -
                                 json.at("clock").at("steady_ns").get<std::int64_t>();
    for (const Json& call : json.at("calls")) timeline.calls.push_back(spans_of(call));
    std::ranges::sort(timeline.calls, {}, [](const CallTrace& call) {
      return std::pair(call.spans.front().begin, call.number);
    });
    return timeline;
  } catch (const Json::exception&) {
    return wrong();
  }
}

std::string to_trace_events(const Timeline& timeline) {
  const std::vector<std::uint64_t> track_of = tracks(timeline.calls);
  const std::int64_t zero = timeline.calls.empty() ? 0 : timeline.calls.front().spans.front().begin;
  Json events = Json::array();
  events.push_back(
      named("process_name", kDevice, 0,
            "device: " + timeline.program + " (" + std::to_string(timeline.pid) + ")"));
  std::map<std::pair<std::uint64_t, std::uint64_t>, bool> seen;
  std::uint64_t arrow = 0;
  for (std::size_t i = 0; i < timeline.calls.size(); ++i) {
    const CallTrace& call = timeline.calls[i];
    const std::uint64_t track = track_of[i];
    std::vector<Json> slices;
    for (const Span& span : call.spans) {
      const std::uint64_t process = process_of(span);
      if (process != kDevice && !std::exchange(seen[{process, 0}], true))
        events.push_back(named("process_name", process, 0, "edge " + std::to_string(span.edge)));
      if (!std::exchange(seen[{process, track}], true))
        events.push_back(named("thread_name", process, track, "calls " + std::to_string(track)));
      slices.push_back({{"ph", "X"},
                        {"cat", "call"},
                        {"name", span.name},
                        {"pid", process},
                        {"tid", track},
                        {"ts", microseconds(span.begin - zero)},
                        {"dur", microseconds(span.end - span.begin)}});
      if (!span.facts.empty()) slices.back()["args"] = span.facts;
    }
    // A function may have such a name as well: its own slice is the first of each side.
    const auto part_after = [&](std::size_t first, const char* name) -> Json& {
      return *std::find_if(slices.begin() + static_cast<std::ptrdiff_t>(first) + 1, slices.end(),
                           [&](const Json& slice) { return slice.at("name") == name; });
    };
    const auto there = std::ranges::find(call.spans, Side::edge, &Span::side);
    if (there != call.spans.end()) {
      const auto first = static_cast<std::size_t>(there - call.spans.begin());
      add_arrow(part_after(0, "to the edge"), slices[first], ++arrow);
      add_arrow(part_after(first, "guest"), part_after(0, "reply"), ++arrow);
    }
    for (Json& slice : slices) events.push_back(std::move(slice));
  }
  return Json{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}}.dump() + "\n";
}

std::string to_otlp(const Timeline& timeline) {
  const std::string of_this_export = random_hex(8);
  std::map<std::uint64_t, Json> spans;  // by process
  spans[kDevice] = Json::array();
  for (const CallTrace& call : timeline.calls) {
    char number[17];
    std::snprintf(number, sizeof number, "%016llx", static_cast<unsigned long long>(call.number));
    for (std::size_t index = 0; index < call.spans.size(); ++index) {
      Json& of_process = spans[process_of(call.spans[index])];
      if (of_process.is_null()) of_process = Json::array();
      of_process.push_back(otlp_span(timeline, call, index, of_this_export + number));
    }
  }
  Json resources = Json::array();
  for (auto& [process, its_spans] : spans) {
    Json attributes = Json::array();
    if (process == kDevice) {
      attributes.push_back(attribute("service.name", timeline.program));
      attributes.push_back(attribute("process.pid", timeline.pid));
    } else {
      attributes.push_back(attribute("service.name", "aloft edge"));
      attributes.push_back(attribute("aloft.edge", process - kDevice - 1));
    }
    resources.push_back({{"resource", {{"attributes", std::move(attributes)}}},
                         {"scopeSpans", Json::array({{{"scope", {{"name", "aloft"}}},
                                                      {"spans", std::move(its_spans)}}})}});
  }
  return Json{{"resourceSpans", std::move(resources)}}.dump() + "\n";
}

}  // namespace aloft::cli
