// Policies as people write them: NAME, NAME:ARGUMENT, and for those that ask another one
// NAME:ARGUMENT:POLICY.
#include <charconv>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <aloft/policy.h>

namespace aloft {
namespace {

using Made = Result<std::shared_ptr<Policy>>;

constexpr std::string_view kForms =
    "local, remote, every:CALLS, min_latency, deadline:MS[:POLICY], cool:CELSIUS[:POLICY], "
    "min_energy";

std::unexpected<Error> wrong(std::string_view text, std::string_view why) {
  return fail(Errc::invalid_argument, "'" + std::string(text) + "' is no policy: " +
                                          std::string(why) + "; there are " + std::string(kForms));
}

// All of `text` as a number, above nothing.
template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value > 0)) return std::nullopt;
  return value;
}

}  // namespace

Result<std::shared_ptr<Policy>> policy_by_name(std::string_view text) {
  const auto colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  std::string_view argument;
  std::string_view inner_text;
  if (colon != std::string_view::npos) {
    argument = text.substr(colon + 1);
    if (const auto second = argument.find(':'); second != std::string_view::npos) {
      inner_text = argument.substr(second + 1);
      argument = argument.substr(0, second);
      if (inner_text.empty()) return wrong(text, "it ends where another policy should stand");
    }
  }
  const bool asks_another = name == "deadline" || name == "cool";
  if (!inner_text.empty() && !asks_another)
    return wrong(text, std::string(name) + " asks no other policy");
  std::shared_ptr<Policy> inner;
  if (!inner_text.empty()) {
    Made made = policy_by_name(inner_text);
    if (!made) return made;
    inner = *std::move(made);
  }
  if (name == "every") {
    const auto calls = number<std::uint64_t>(argument);
    if (!calls) return wrong(text, "every needs a number of calls");
    return every_policy(*calls);
  }
  if (name == "deadline") {
    if (argument.ends_with("ms")) argument.remove_suffix(2);
    const auto limit = number<double>(argument);
    if (!limit || *limit > 1e9) return wrong(text, "deadline needs a time in milliseconds");
    return deadline_policy(std::chrono::nanoseconds(static_cast<std::int64_t>(*limit * 1e6)),
                           std::move(inner));
  }
  if (name == "cool") {
    if (argument.ends_with("C")) argument.remove_suffix(1);
    const auto limit = number<double>(argument);
    if (!limit || *limit > 200) return wrong(text, "cool needs a temperature in degrees Celsius");
    return cool_policy(*limit, std::move(inner));
  }
  if (colon != std::string_view::npos) {
    constexpr std::string_view kBare[] = {"local", "remote", "min_latency", "min_energy"};
    for (const std::string_view bare : kBare) {
      if (name == bare) return wrong(text, std::string(name) + " takes nothing");
    }
  }
  if (name == "local") return local_policy();
  if (name == "remote") return remote_policy();
  if (name == "min_latency") return min_latency_policy();
  if (name == "min_energy") return min_energy_policy();
  return wrong(text, "unknown");
}

}  // namespace aloft
