// aloft rollout: a new version of a module for a part of a tenant's sessions, which goes back by
// itself past limits that are given (docs/rollout.md).
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "aloft/v1/offload_manager.grpc.pb.h"
#include "base/digest.h"
#include "commands.h"
#include "manager_client.h"

namespace aloft::cli {
namespace {

using Stub = v1::OffloadManager::Stub;

// Both versions may have to be fetched and compiled before they are compared.
constexpr std::chrono::seconds kCompareLimit{90};

struct Options {
  ManagerOptions manager;
  std::string module;  // NAME or NAME@DIGEST
  std::string tenant = "default";
  std::string from;
  double percent = -1;
  double max_error_rate = 0.01;
  double max_p99_ms = 0;
  double window_seconds = 60;
  bool status = false, abort = false, finish = false;
};

std::string percent_of(double rate) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f %%", rate * 100);
  return text;
}
std::string milliseconds_of(std::uint64_t microseconds) {
  if (microseconds == 0) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.1f ms", static_cast<double>(microseconds) / 1000);
  return text;
}

const char* name_of(v1::Rollout::State state) {
  switch (state) {
    case v1::Rollout::RUNNING: return "running";
    case v1::Rollout::FINISHED: return "finished";
    case v1::Rollout::ABORTED: return "aborted";
    case v1::Rollout::TAKEN_BACK: return "taken back";
    default: return "?";
  }
}

void print(const v1::Rollout& rollout) {
  std::printf("module %s of tenant %s: %s", rollout.module().c_str(), rollout.tenant().c_str(),
              name_of(rollout.state()));
  if (rollout.state() == v1::Rollout::RUNNING)
    std::printf(", at %s", percent_of(rollout.percent_hundredths() / 10'000.0).c_str());
  std::printf("%s%s\n", rollout.reason().empty() ? "" : ": ", rollout.reason().c_str());
  TextTable table({"VERSION", "DIGEST", "SESSIONS", "CALLS", "FAILED", "P99"});
  const auto add = [&](const char* name, const v1::Rollout::Version& version) {
    table.add({name, version.digest(), std::to_string(version.sessions()),
               std::to_string(version.calls()), percent_of(version.error_rate()),
               milliseconds_of(version.p99_us())});
  };
  add("before", rollout.from());
  add("new", rollout.to());
  table.print();
}

Result<void> print(const Context& context, const Result<v1::Rollout>& answer) {
  if (!answer) return std::unexpected(answer.error());
  if (context.json) {
    print_json(*answer);
  } else {
    print(*answer);
  }
  return {};
}

Result<void> list(const Context& context, Stub& stub, const Options& options) {
  v1::ListRolloutsRequest request;
  request.set_module(options.module.substr(0, options.module.find('@')));
  if (!request.module().empty()) request.set_tenant(options.tenant);
  auto answer = ask(stub, &Stub::ListRollouts, request);
  if (!answer) return std::unexpected(answer.error());
  if (context.json) return print_json(*answer), Result<void>{};
  if (answer->rollouts().empty()) {
    if (!request.module().empty()) {
      return fail(Errc::not_found,
                  "tenant " + options.tenant + " has no rollout of " + request.module());
    }
    std::printf("there are no rollouts\n");
  }
  for (const auto& rollout : answer->rollouts()) print(rollout);
  return {};
}

Result<void> start(const Context& context, Stub& stub, const Options& options) {
  const auto at = options.module.find('@');
  const auto digest = at == std::string::npos
                          ? Result<Digest>(fail(Errc::invalid_argument, "no digest"))
                          : Digest::parse(options.module.substr(at + 1));
  if (at == 0 || !digest) {
    return fail(Errc::invalid_argument,
                "which version? Say MODULE@sha256:... (aloft module list shows them)");
  }
  if (!(options.percent >= 0 && options.percent <= 100))
    return fail(Errc::invalid_argument, "--percent: of the sessions, 0 to 100");
  v1::StartRolloutRequest request;
  request.set_tenant(options.tenant);
  request.mutable_module()->set_name(options.module.substr(0, at));
  request.mutable_module()->set_digest("sha256:" + digest->hex());
  request.set_from(options.from);
  request.set_percent_hundredths(static_cast<std::uint32_t>(std::lround(options.percent * 100)));
  request.mutable_limits()->set_max_error_rate(options.max_error_rate);
  request.mutable_limits()->set_max_p99_us(
      static_cast<std::uint64_t>(std::llround(options.max_p99_ms * 1000)));
  request.mutable_limits()->set_window_ms(
      static_cast<std::uint32_t>(std::lround(options.window_seconds * 1000)));
  return print(context, ask(stub, &Stub::StartRollout, request, kCompareLimit));
}

Result<void> run(const Context& context, Stub& stub, const Options& options) {
  if (options.status) return list(context, stub, options);
  if (options.module.empty())
    return fail(Errc::invalid_argument, "which module? (aloft rollout --status lists rollouts)");
  if (!options.abort && !options.finish) return start(context, stub, options);
  v1::EndRolloutRequest request;
  request.set_tenant(options.tenant);
  request.set_module(options.module.substr(0, options.module.find('@')));
  request.set_how(options.abort ? v1::EndRolloutRequest::ABORT : v1::EndRolloutRequest::FINISH);
  return print(context, ask(stub, &Stub::EndRollout, request));
}

}  // namespace

void add_rollout_command(CLI::App& app, Context& context) {
  const auto options = std::make_shared<Options>();
  auto* const command = app.add_subcommand(
      "rollout",
      "gives a part of a tenant's sessions a new version of a module, between two calls");
  add_manager_options(*command, options->manager);
  command->add_option("MODULE", options->module,
                      "NAME@sha256:... of the new version; NAME is enough to look at it or end it");
  command->add_option("--tenant", options->tenant, "whose sessions")->capture_default_str();
  command->add_option("--percent", options->percent, "of the sessions; a higher one adds to them");
  command->add_option("--from", options->from,
                      "sha256:... of the version before; none: the one that sessions have");
  command
      ->add_option("--max-error-rate", options->max_error_rate,
                   "of the new version's calls, 0 to 1, past which all go back; negative: none")
      ->check(CLI::Range(-1.0, 1.0))
      ->capture_default_str();
  command
      ->add_option("--max-p99", options->max_p99_ms,
                   "ms that 99 of 100 calls may take there, past which all go back; 0: no limit")
      ->check(CLI::Range(0.0, 1e7))
      ->capture_default_str();
  command->add_option("--window", options->window_seconds, "s over which both are taken")
      ->check(CLI::Range(1.0, 86'400.0))
      ->capture_default_str();
  auto* const status =
      command->add_flag("--status", options->status, "how it goes; of all, or one");
  auto* const abort =
      command->add_flag("--abort", options->abort, "all sessions go back to the version before");
  auto* const finish = command->add_flag("--finish", options->finish,
                                         "all sessions get the new version, and those to come");
  status->excludes(abort)->excludes(finish);
  abort->excludes(finish);
  command->callback([&context, options] {
    auto stub = connect(options->manager);
    if (!stub) return failed(context, stub.error());
    if (auto done = run(context, **stub, *options); !done) failed(context, done.error());
  });
}

}  // namespace aloft::cli
