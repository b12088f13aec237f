#include "device/explain/document.h"

#include <array>
#include <chrono>
#include <optional>
#include <string_view>

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace aloft::device {
namespace {

using Json = nlohmann::ordered_json;

double milliseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

template <class T>
void put(Json& object, std::string_view key, const std::optional<T>& value) {
  if (value) object[std::string(key)] = *value;
}

Json described(const Forecast& forecast) {
  Json json{{"p50_ms", milliseconds(forecast.p50)}, {"p90_ms", milliseconds(forecast.p90)}};
  if (forecast.millijoules) {
    json["millijoules"] = *forecast.millijoules;
    json["energy"] = forecast.energy_measured ? "measured" : "model";
  }
  json["observations"] = forecast.observations;
  json["age_s"] = std::chrono::duration<double>(forecast.age).count();
  return json;
}

Json described(const LinkState& link) {
  Json json = Json::object();
  if (link.round_trip) json["round_trip_ms"] = milliseconds(*link.round_trip);
  put(json, "uplink_bytes_per_second", link.uplink);
  put(json, "downlink_bytes_per_second", link.downlink);
  put(json, "loss", link.loss);
  return json;
}

Json described(const DeviceState& device) {
  Json json = Json::object();
  put(json, "cpu_celsius", device.cpu_celsius);
  put(json, "cpu_celsius_per_second", device.cpu_celsius_per_second);
  put(json, "process_cpu_percent", device.process_cpu_percent);
  put(json, "system_cpu_percent", device.system_cpu_percent);
  put(json, "cpu_cores", device.cpu_cores);
  put(json, "cpu_speed", device.cpu_speed);
  put(json, "memory_available", device.memory_available);
  put(json, "battery_percent", device.battery_percent);
  put(json, "mains", device.mains);
  put(json, "watts", device.watts);
  return json;
}

}  // namespace

std::string document(const Explanation& explanation) {
  Json json{{"pid", ::getpid()}, {"program", explanation.program}, {"policy", explanation.policy}};
  // All contexts have the same look at the device, or an older one.
  if (!explanation.functions.empty())
    json["device"] = described(explanation.functions.front().device);
  json["edges"] = Json::array();
  for (const Notifier::LinkCount& edge : explanation.edges) {
    Json one{{"ready", edge.up}};
    if (edge.round_trip.count() > 0) one["round_trip_ms"] = milliseconds(edge.round_trip);
    one["tx_bytes"] = edge.tx_bytes;
    one["rx_bytes"] = edge.rx_bytes;
    json["edges"].push_back(std::move(one));
  }
  json["functions"] = Json::array();
  for (const CallContext& context : explanation.functions) {
    Json one{{"name", context.function}, {"calls", context.number + 1}};
    if (context.before) one["before"] = to_string(*context.before);
    if (context.here) one["here"] = described(*context.here);
    if (context.edge) one["edge"] = described(*context.edge);
    one["link"] = described(context.link);
    json["functions"].push_back(std::move(one));
  }
  json["decisions"] = Json::array();
  for (const DecisionRecord& decision : explanation.decisions) {
    const bool here = decision.location.is_here();
    Json one{{"number", decision.number},
             {"function", decision.function},
             {"place", to_string(here ? Place::here : Place::edge)}};
    if (!here) one["edge"] = decision.location.number() - 1;
    one["reason"] = decision.reason.text();
    json["decisions"].push_back(std::move(one));
  }
  return json.dump() + "\n";
}

std::string this_program() {
  std::array<char, 4096> path;
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  if (size <= 0) return {};
  const std::string_view text(path.data(), static_cast<std::size_t>(size));
  return std::string(text.substr(text.rfind('/') + 1));
}

}  // namespace aloft::device
