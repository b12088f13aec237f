// aloft trace: when the last calls of a running program were, and where their time went, as a file
// for Perfetto or for a collector of OpenTelemetry.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "device/explain/ask.h"
#include "trace_spans.h"

namespace aloft::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto kPatience = 3s;

struct Options {
  pid_t pid = 0;  // 0: the only one
  fs::path events;
  fs::path otlp;
};

Result<Timeline> ask_program(pid_t pid) {
  const auto text = device::ask_to_explain(pid, device::About::timeline, kPatience);
  if (!text) {
    return fail(text.error().code, text.error().message +
                                       " (a program tells its own user of its calls, with "
                                       "RuntimeOptions::explain)");
  }
  return read_timeline(*text);
}

Result<Timeline> choose_program(pid_t pid) {
  if (pid != 0) return ask_program(pid);
  std::vector<Timeline> found;
  for (const pid_t each : device::explained_processes()) {
    if (auto told = ask_program(each)) found.push_back(*std::move(told));
  }
  if (found.size() == 1) return std::move(found.front());
  if (found.empty()) {
    return fail(Errc::not_found,
                "no program of this user tells of its calls here: one does with "
                "RuntimeOptions::explain (aloft-detect always does)");
  }
  std::string message = "which program? These tell of their calls:";
  for (const Timeline& each : found)
    message += " " + std::to_string(each.pid) + " (" + each.program + ")";
  return fail(Errc::invalid_argument, std::move(message));
}

Result<void> write(const fs::path& file, const std::string& text) {
  std::ofstream stream(file, std::ios::binary | std::ios::trunc);
  stream << text << std::flush;
  if (!stream) return fail(Errc::refused, "cannot write " + file.string());
  return {};
}

Result<void> trace(const Context& context, const Options& options) {
  const auto timeline = choose_program(options.pid);
  if (!timeline) return std::unexpected(timeline.error());
  if (!options.events.empty()) {
    if (auto done = write(options.events, to_trace_events(*timeline)); !done) return done;
  }
  if (!options.otlp.empty()) {
    if (auto done = write(options.otlp, to_otlp(*timeline)); !done) return done;
  }
  if (context.json) {
    std::printf("{\"pid\":%lld,\"calls\":%zu}\n", static_cast<long long>(timeline->pid),
                timeline->calls.size());
    return {};
  }
  std::printf("the last %zu calls of %s, process %lld\n", timeline->calls.size(),
              timeline->program.c_str(), static_cast<long long>(timeline->pid));
  if (!options.events.empty())
    std::printf("  %s: open it at ui.perfetto.dev\n", options.events.c_str());
  if (!options.otlp.empty())
    std::printf("  %s: for a collector of OpenTelemetry (POST /v1/traces)\n", options.otlp.c_str());
  return {};
}

}  // namespace

void add_trace_command(CLI::App& app, Context& context) {
  const auto options = std::make_shared<Options>();
  CLI::App* const at = app.add_subcommand(
      "trace",
      "writes when a program's last calls were, here and at the edge, and what took how long");
  at->add_option("PID", options->pid, "number of a process on this machine (none: the only one)")
      ->check(CLI::PositiveNumber);
  at->add_option("--out", options->events, "file for Perfetto, in the trace event format");
  at->add_option("--otlp", options->otlp, "file for a collector of OpenTelemetry (OTLP, JSON)");
  at->callback([&context, options] {
    if (options->events.empty() && options->otlp.empty()) {
      return failed(context, {Errc::invalid_argument, "say where to: --out FILE, --otlp FILE"});
    }
    if (auto done = trace(context, *options); !done) failed(context, done.error());
  });
}

}  // namespace aloft::cli
