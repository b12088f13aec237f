#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>

#include <aloft/reason.h>

namespace aloft {
namespace {

std::string_view pattern(ReasonCode code) {
  switch (code) {
    case ReasonCode::none: return "";
    case ReasonCode::asked_for: return "asked for by the caller";
    case ReasonCode::unbound: return "no runtime is bound";
    case ReasonCode::within_call: return "within an elastic call";
    case ReasonCode::with_object: return "where its object is";
    case ReasonCode::local_always: return "local: always here";
    case ReasonCode::remote_always: return "remote: always at the edge";
    case ReasonCode::remote_not_ready: return "remote: here, since no edge is ready";
    case ReasonCode::every_here: return "every {}: calls {}..{} here";
    case ReasonCode::every_edge: return "every {}: calls {}..{} at the edge";
    case ReasonCode::every_not_ready:
      return "every {}: calls {}..{} at the edge, but no edge is ready";
    case ReasonCode::latency_here: return "here: predicted {ms} here, {ms} there";
    case ReasonCode::latency_edge: return "remote: predicted {ms} there, {ms} here";
    case ReasonCode::latency_keeps_here:
      return "stays here: predicted {ms} here, {ms} there, which is not yet worth a change";
    case ReasonCode::latency_keeps_edge:
      return "stays remote: predicted {ms} there, {ms} here, which is not yet worth a change";
    case ReasonCode::latency_not_ready: return "min_latency: here, since no edge is ready";
    case ReasonCode::learns_here: return "here: how long it takes here is not known yet";
    case ReasonCode::learns_edge:
      return "here: what it takes at the edge is not known yet, and is tried out soon";
    case ReasonCode::tries_here: return "tried out here: predicted {ms}, last known {ms} ago";
    case ReasonCode::tries_edge: return "tried out there: predicted {ms}, last known {ms} ago";
    case ReasonCode::deadline_met_here:
      return "here: nine in ten calls within {ms}, the deadline is {ms}";
    case ReasonCode::deadline_met_edge:
      return "remote: nine in ten calls within {ms}, the deadline is {ms}";
    case ReasonCode::deadline_missed_here:
      return "here, which comes closest: nine in ten calls within {ms}, the deadline is {ms}";
    case ReasonCode::deadline_missed_edge:
      return "remote, which comes closest: nine in ten calls within {ms}, the deadline is {ms}";
    case ReasonCode::deadline_not_ready: return "deadline: here, since no edge is ready";
    case ReasonCode::cool_edge: return "remote: CPU {C} is close to {C}";
    case ReasonCode::cool_not_ready:
      return "here, since no edge is ready, though CPU {C} is close to {C}";
    case ReasonCode::cool_near: return "CPU {C} nears {C}";
    case ReasonCode::cool_no_sensor: return "no sensor tells whether {C} is near";
    case ReasonCode::energy_here: return "here: predicted {mJ} here, {mJ} there";
    case ReasonCode::energy_edge: return "remote: predicted {mJ} there, {mJ} here";
    case ReasonCode::energy_keeps_here:
      return "stays here: predicted {mJ} here, {mJ} there, which is not yet worth a change";
    case ReasonCode::energy_keeps_edge:
      return "stays remote: predicted {mJ} there, {mJ} here, which is not yet worth a change";
    case ReasonCode::energy_not_ready: return "min_energy: here, since no edge is ready";
    case ReasonCode::energy_model: return "by a model, there is no sensor";
    case ReasonCode::other: return "";
  }
  return "";
}

// Of a place that nothing is predicted of.
std::string_view pattern_of_first_try(ReasonCode code) {
  if (code == ReasonCode::tries_here) return "tried out here: how long it takes is not known yet";
  if (code == ReasonCode::tries_edge) return "tried out there: how long it takes is not known yet";
  return pattern(code);
}

// Three digits at the most, none behind the point from 100 on.
std::string scaled(std::uint64_t number, double unit, std::string_view name) {
  const double value = static_cast<double>(number) / unit;
  char text[40];
  std::snprintf(text, sizeof text, "%.*f", value < 10 && number != 0 ? (value < 1 ? 2 : 1) : 0,
                value);
  return std::string(text).append(name);
}

std::string shown(std::string_view unit, std::uint64_t number) {
  if (unit == "ms")
    return number >= 10'000'000 ? scaled(number, 1e6, " s") : scaled(number, 1e3, " ms");
  if (unit == "mJ") return scaled(number, 1e3, " mJ");
  if (unit == "C") {
    const double celsius = static_cast<double>(static_cast<std::int64_t>(number)) / 10;
    return std::to_string(std::lround(celsius)) + " C";
  }
  return std::to_string(number);
}

// The pattern with its gaps filled in, as far as there are numbers.
std::string filled(std::string_view pattern, const Reason::Numbers& numbers) {
  std::string text;
  for (const std::uint64_t number : numbers) {
    const auto gap = pattern.find('{');
    const auto end = pattern.find('}', gap == std::string_view::npos ? pattern.size() : gap);
    if (end == std::string_view::npos) break;
    text.append(pattern.substr(0, gap))
        .append(shown(pattern.substr(gap + 1, end - gap - 1), number));
    pattern.remove_prefix(end + 1);
  }
  return text.append(pattern);
}

}  // namespace

std::string Reason::text() const {
  const std::string_view said = numbers()[0] == 0 ? pattern_of_first_try(code()) : pattern(code());
  std::string text = filled(words() != nullptr ? words() : said, numbers());
  if (stored_.also != ReasonCode::none)
    text.append(text.empty() ? "" : "; ")
        .append(filled(pattern(stored_.also), stored_.also_numbers));
  return text;
}

}  // namespace aloft
