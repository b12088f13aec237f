// aloft explain: why calls of a running program go where they go (its number of process, or none
// where only one runs), and why a session of a cluster is where it is (its id).
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "aloft/v1/offload_manager.grpc.pb.h"
#include "commands.h"
#include "device/explain/ask.h"
#include "manager_client.h"

namespace aloft::cli {
namespace {

using Json = nlohmann::ordered_json;
using namespace std::chrono_literals;

constexpr auto kPatience = 3s;
constexpr auto kBetweenLooks = 200ms;  // --follow

struct Options {
  ManagerOptions manager;
  std::string what;
  std::size_t last = 20;
  bool follow = false;
};

// --- A program

bool is_process(const std::string& text) {
  return !text.empty() && text.size() < 10 &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

Result<Json> ask_program(pid_t pid) {
  const auto text = device::ask_to_explain(pid, device::About::decisions, kPatience);
  if (!text) {
    return fail(text.error().code, text.error().message +
                                       " (a program explains itself to its own user, with "
                                       "RuntimeOptions::explain)");
  }
  Json document = Json::parse(*text, nullptr, false);
  if (!document.is_object() || !document.contains("decisions"))
    return fail(Errc::protocol,
                "what answers for process " + std::to_string(pid) + " is no program of aloft's");
  return document;
}

// Those that answer.
std::vector<Json> programs() {
  std::vector<Json> found;
  for (const pid_t pid : device::explained_processes()) {
    if (auto document = ask_program(pid)) found.push_back(*std::move(document));
  }
  return found;
}

std::string number(const Json& object, const char* key, const char* format) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return "-";
  char text[48];
  std::snprintf(text, sizeof text, format, found->get<double>());
  return text;
}

void print_device(const Json& device) {
  std::string line;
  const auto add = [&](const char* key, const char* format) {
    const std::string text = number(device, key, format);
    if (text != "-") line += (line.empty() ? "" : ", ") + text;
  };
  add("cpu_celsius", "CPU %.0f C");
  add("system_cpu_percent", "%.0f %% busy");
  add("cpu_speed", "at most %.2f of its frequency");
  add("battery_percent", "battery %.0f %%");
  add("watts", "%.1f W");
  std::printf("device  %s\n", line.empty() ? "no sensor says anything" : line.c_str());
}

// Of a number in thousandths of a unit: a few digits, and the unit itself where that reads better.
std::string scaled(const Json& object, const char* key, const char* thousandths, const char* unit) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return "-";
  const double value = found->get<double>();
  const bool large = value >= 1000;
  const double shown = large ? value / 1e3 : value;
  char text[48];
  std::snprintf(text, sizeof text, shown < 10 ? "%.2g %s" : "%.0f %s", shown,
                large ? unit : thousandths);
  return text;
}

void print_forecast(const char* place, const Json& function, const char* key) {
  const auto found = function.find(key);
  if (found == function.end()) {
    std::printf("  %-6s nothing is known\n", place);
    return;
  }
  const std::string energy = scaled(*found, "millijoules", "mJ", "J");
  std::printf("  %-6s predicted %s (nine in ten %s)%s, last known %s ago\n", place,
              scaled(*found, "p50_ms", "ms", "s").c_str(),
              scaled(*found, "p90_ms", "ms", "s").c_str(),
              energy == "-"
                  ? ""
                  : (", " + energy + (found->value("energy", "") == "model" ? " by the model" : ""))
                        .c_str(),
              number(*found, "age_s", "%.1f s").c_str());
}

// What forecasts for the edge rest on.
void print_link(const Json& function) {
  const auto link = function.find("link");
  if (link == function.end()) return;
  std::string line;
  const auto add = [&](const char* key, double unit, const char* format) {
    const auto value = link->find(key);
    if (value == link->end() || !value->is_number()) return;
    char text[48];
    std::snprintf(text, sizeof text, format, value->get<double>() * unit);
    line += (line.empty() ? "" : ", ") + std::string(text);
  };
  constexpr double kMbit = 8e-6;
  add("uplink_bytes_per_second", kMbit, "%.3g Mbit/s up");
  add("downlink_bytes_per_second", kMbit, "%.3g Mbit/s down");
  if (!line.empty()) line += " as calls have seen it";
  add("loss", 100, "%.2g %% of the segments sent anew");
  if (!line.empty()) std::printf("  %-6s %s\n", "link", line.c_str());
}

std::string sentence(const Json& decision) {
  const bool here = decision.value("place", "") == "here";
  std::string text = "#" + std::to_string(decision.value("number", std::uint64_t{0})) + " " +
                     decision.value("function", "") + " " + (here ? "here" : "at the edge");
  if (!here && decision.value("edge", 0) != 0)
    text += " " + std::to_string(decision.value("edge", 0));
  return text + " (" + decision.value("reason", "") + ")";
}

void print_decisions(const Json& document, std::size_t last, std::optional<std::uint64_t> after) {
  const Json& decisions = document["decisions"];
  const std::size_t skipped = decisions.size() > last ? decisions.size() - last : 0;
  for (std::size_t i = skipped; i < decisions.size(); ++i) {
    if (!after || decisions[i].value("number", std::uint64_t{0}) > *after)
      std::printf("%s\n", sentence(decisions[i]).c_str());
  }
  std::fflush(stdout);
}

std::optional<std::uint64_t> last_number(const Json& document) {
  const Json& decisions = document["decisions"];
  if (decisions.empty()) return std::nullopt;
  return decisions.back().value("number", std::uint64_t{0});
}

void print(const Json& document, std::size_t last) {
  std::printf("%s, process %d, policy %s\n", document.value("program", "").c_str(),
              document.value("pid", 0), document.value("policy", "").c_str());
  if (document.contains("device")) print_device(document["device"]);
  std::size_t index = 0;
  for (const Json& edge : document.value("edges", Json::array())) {
    const std::string round_trip = number(edge, "round_trip_ms", "%.3g ms");
    std::printf("edge %zu  %s%s\n", index++, edge.value("ready", false) ? "ready" : "not ready",
                round_trip == "-" ? "" : (", round trip " + round_trip).c_str());
  }
  for (const Json& function : document.value("functions", Json::array())) {
    std::printf("%s, %s calls\n", function.value("name", "").c_str(),
                number(function, "calls", "%.0f").c_str());
    print_forecast("here", function, "here");
    print_forecast("there", function, "edge");
    print_link(function);
  }
  print_decisions(document, last, std::nullopt);
}

Result<void> follow(Json document, std::size_t last) {
  const pid_t pid = document.value("pid", 0);
  for (;;) {
    const auto told = last_number(document);
    std::this_thread::sleep_for(kBetweenLooks);
    auto next = ask_program(pid);
    if (!next) {
      std::printf("the program has ended\n");
      return {};
    }
    print_decisions(*next, last, told);
    document = *std::move(next);
  }
}

Result<Json> choose_program(const std::string& what) {
  if (!what.empty()) return ask_program(static_cast<pid_t>(std::stoi(what)));
  std::vector<Json> found = programs();
  if (found.size() == 1) return std::move(found.front());
  if (found.empty()) {
    return fail(
        Errc::not_found,
        "no program of this user explains itself here: one does with "
        "RuntimeOptions::explain (aloft-detect always does); or name a session of a cluster");
  }
  std::string message = "which program? These explain themselves:";
  for (const Json& each : found)
    message += " " + std::to_string(each.value("pid", 0)) + " (" + each.value("program", "") + ")";
  return fail(Errc::invalid_argument, std::move(message));
}

Result<void> explain_program(const Context& context, const Options& options) {
  auto document = choose_program(options.what);
  if (!document) return std::unexpected(document.error());
  if (context.json) {
    std::printf("%s\n", document->dump().c_str());
    return {};
  }
  print(*document, options.last);
  return options.follow ? follow(*std::move(document), options.last) : Result<void>{};
}

// --- A session

Result<void> explain_session(const Context& context, const Options& options) {
  auto stub = connect(options.manager);
  if (!stub) return std::unexpected(stub.error());
  v1::ExplainSessionRequest request;
  request.set_id(options.what);
  auto answer = ask(**stub, &v1::OffloadManager::Stub::ExplainSession, request);
  if (!answer) return std::unexpected(answer.error());
  if (context.json) return print_json(*answer), Result<void>{};
  TextTable table({"HOST", "TOTAL", "LOAD", "ROUND TRIP", "COMPILED", "SPREAD", "REFUSED BECAUSE"});
  for (const auto& score : answer->scores()) {
    const bool refused = !score.refused_because().empty();
    const auto shown = [&](double value) { return refused ? std::string("-") : fraction(value); };
    table.add({score.host_id(), shown(score.total()), shown(score.load()),
               shown(score.round_trip()), shown(score.compiled()), shown(score.spread()),
               refused ? score.refused_because() : "-"});
  }
  table.print();
  return {};
}

}  // namespace

void add_explain_command(CLI::App& app, Context& context) {
  const auto options = std::make_shared<Options>();
  CLI::App* const at = app.add_subcommand(
      "explain", "shows why a program's calls go where they go, or why a session is where it is");
  add_manager_options(*at, options->manager);
  at->add_option("WHAT", options->what,
                 "number of a process on this machine (none: the only one), or a session as "
                 "`aloft sessions` lists it");
  at->add_option("--last", options->last, "so many decisions of a program")
      ->check(CLI::Range(1, 128))
      ->capture_default_str();
  at->add_flag("--follow", options->follow, "goes on with each new decision of a program");
  at->callback([&context, options] {
    const bool program = options->what.empty() || is_process(options->what);
    if (auto done =
            program ? explain_program(context, *options) : explain_session(context, *options);
        !done)
      failed(context, done.error());
  });
}

}  // namespace aloft::cli
