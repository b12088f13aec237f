// aloft up: a cluster of one machine, for developing against it: a manager with an embedded store,
// a host, and a folder as the repository. It needs no set-up and leaves nothing running: the
// processes end with this one, and are started again when they end by themselves.
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "daemon.h"
#include "identity/certificate.h"
#include "identity/cluster_folder.h"
#include "net/address.h"
#include "oci/registry.h"
#include "oci/repository.h"

namespace aloft::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kStartLimit = 30s;
// One that ends sooner after it was started again would do so for ever.
constexpr auto kStays = 2s;
constexpr auto kEndLimit = Daemon::kEndLimit;

struct Options {
  fs::path folder;
  std::string listen = "127.0.0.1:7400";
  std::string ops_listen;
  std::vector<fs::path> modules;
  std::string inference_threads = "1";
  bool require_isolation = false;
};

fs::path default_folder() {
  if (const char* const state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state != '\0')
    return fs::path(state) / "aloft" / "up";
  if (const char* const home = std::getenv("HOME"); home != nullptr && *home != '\0')
    return fs::path(home) / ".local" / "state" / "aloft" / "up";
  return {};
}

// A program as it is started, and started again.
struct Part {
  std::string program;
  std::vector<std::string> arguments;
  std::string ready;  // in the line that says that it is
  std::optional<Daemon> daemon{};
  Clock::time_point started{};
  bool was_restarted = false;

  // The line that says that it is ready.
  Result<std::string> start() {
    auto made = Daemon::start({.program = program, .arguments = arguments});
    if (!made) return std::unexpected(made.error());
    daemon.emplace(*std::move(made));
    started = Clock::now();
    return daemon->wait_for(ready, kStartLimit);
  }
  // After SIGCHLD. Errors: internal (it does not stay).
  Result<void> look_after() {
    const auto ended = daemon->ended();
    if (!ended) return {};
    if (was_restarted && Clock::now() - started < kStays)
      return fail(Errc::internal, program + " has ended by itself; what it said is above");
    std::fprintf(stderr, "warning: %s has ended by itself (%s): starting it again\n",
                 program.c_str(), ended->to_string().c_str());
    was_restarted = true;
    auto again = start();
    if (!again) return std::unexpected(again.error());
    return {};
  }
};

// A command of this program, in a process of its own: what it prints goes where this one's does.
Result<void> run_own(std::vector<std::string> arguments) {
  auto program = Daemon::start({.program = "aloft", .arguments = arguments});
  if (!program) return std::unexpected(program.error());
  if (program->wait().well()) return {};
  return fail(Errc::internal, "aloft " + arguments[0] + " " + arguments[1] + " failed");
}

Result<void> make_credentials(const fs::path& folder) {
  if (!fs::exists(folder / "ca.pem")) {
    // The modules are the user's own, on the user's own machine.
    auto made = identity::create_cluster_folder(
        folder, {.name = "local", .modules = identity::Unsigned::allowed});
    if (!made) return made;
  }
  if (fs::exists(folder / "host-local.pem")) return {};
  auto authority = identity::Authority::load(folder);
  if (!authority) return std::unexpected(authority.error());
  auto issued = authority->issue({.identity = {authority->cluster(), identity::Role::host, "local"},
                                  .hosts = {"localhost", "127.0.0.1", "::1"}});
  if (!issued) return std::unexpected(issued.error());
  return identity::save(*issued, folder, "host-local");
}

// What the user does next.
void explain(const Options& options, const fs::path& credentials, const fs::path& repository,
             const std::string& manager) {
  const std::string keys = credentials.string();
  std::printf(
      "aloft: a cluster of one machine is up, its manager at %s. Ctrl-C ends it.\n"
      "\n"
      "  put a module there:  aloft module push --repository %s MODULE.wasm\n"
      "  use it:              aloft-detect --cluster %s --cluster-ca %s/ca.pem \\\n"
      "                         --cluster-cert %s/tenant-default.pem --cluster-key "
      "%s/tenant-default.key ...\n"
      "  look at it:          aloft hosts --manager %s --credentials %s\n",
      manager.c_str(), repository.c_str(), manager.c_str(), keys.c_str(), keys.c_str(),
      keys.c_str(), manager.c_str(), keys.c_str());
  if (!options.ops_listen.empty())
    std::printf("  its metrics:         http://%s/metrics\n", options.ops_listen.c_str());
  std::fflush(stdout);
}

Result<void> up(const Options& options) {
  if (options.folder.empty())
    return fail(Errc::invalid_argument, "no folder to work in: pass --dir DIR");
  std::error_code error;
  const fs::path folder = fs::absolute(options.folder, error);
  const fs::path credentials = folder / "cluster";
  const fs::path repository = folder / "repository";
  fs::create_directories(folder, error);
  fs::permissions(folder, fs::perms::owner_all, error);
  if (error) return fail(Errc::refused, folder.string() + ": " + error.message());
  if (auto made = make_credentials(credentials); !made) return made;
  for (const fs::path& module : options.modules) {
    auto pushed = run_own({"module", "push", "--repository", repository.string(), module.string()});
    if (!pushed) return pushed;
  }
  // An empty one where nothing has been put yet: what is pushed later is found.
  if (auto made = oci::open_repository(repository.string(), {}, oci::Missing::make); !made)
    return std::unexpected(made.error());

  auto at = net::Address::parse(options.listen);
  if (!at) return fail(at.error().code, "--listen: " + at.error().message);
  const sigset_t signals = block_signals();

  // A power cut ends the host as well, and all sessions with it: nothing of them has to survive it.
  Part manager{.program = "aloft-manager",
               .arguments = {"--listen", options.listen, "--credentials", credentials.string(),
                             "--store-data", (folder / "state.sqlite").string(), "--store-survives",
                             "kill", "--log-level", "warn"},
               .ready = "listening on port "};
  if (!options.ops_listen.empty())
    manager.arguments.insert(manager.arguments.end(), {"--ops-listen", options.ops_listen});
  const auto listening = manager.start();
  if (!listening) return std::unexpected(listening.error());
  at->port = static_cast<std::uint16_t>(std::atoi(last_word(*listening).c_str()));
  const std::string address = at->to_string();
  manager.arguments[1] = address;  // where it is to be found again

  Part host{
      .program = "aloft-host",
      .arguments = {"--managers", address, "--credentials", credentials.string(), "--id", "local",
                    "--repository", repository.string(), "--state", (folder / "host").string(),
                    "--isolation", options.require_isolation ? "required" : "best-effort",
                    "--inference-threads", options.inference_threads, "--drain-limit", "0s",
                    "--log-level", "warn"},
      .ready = "registered"};
  if (auto started = host.start(); !started) return std::unexpected(started.error());
  explain(options, credentials, repository, address);

  for (;;) {
    int signal = 0;
    ::sigwait(&signals, &signal);
    if (signal != SIGCHLD) break;
    for (Part* const part : {&manager, &host}) {
      if (auto there = part->look_after(); !there) return there;
    }
  }
  host.daemon->end(kEndLimit);  // while there is a manager to tell it to
  return {};
}

}  // namespace

void add_up_command(CLI::App& app, Context& context) {
  const auto options = std::make_shared<Options>();
  options->folder = default_folder();
  auto* const command =
      app.add_subcommand("up", "a cluster on this machine: manager, host and repository");
  command->add_option("--dir", options->folder, "folder of its keys, modules and state")
      ->capture_default_str();
  command->add_option("--listen", options->listen, "HOST:PORT of the manager; port 0: a free one")
      ->capture_default_str();
  command->add_option("--ops-listen", options->ops_listen,
                      "IP:PORT of the manager's /metrics, /healthz and /readyz");
  command->add_option("--module", options->modules, "a .wasm file to put into the repository first")
      ->check(CLI::ExistingFile);
  command->add_option("--inference-threads", options->inference_threads, "threads of one inference")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_flag("--require-isolation", options->require_isolation,
                    "fail where this machine cannot sandbox what runs here in full");
  command->callback([&context, options] {
    if (auto ended = up(*options); !ended) failed(context, ended.error());
  });
}

}  // namespace aloft::cli
