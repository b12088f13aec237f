// How soon a session is of use, and what an idle one costs, on a cluster as `aloft up` starts it:
// aloft-manager, aloft-host, a sandboxed Execution Handler of each tenant, and the device's runtime
// here. The function does nothing (touch::nothing), so that all that is seen is aloft's.
//
//   open     the host has the module compiled, and the tenant has a process there. From
//            join_cluster() to the first result: connecting to the manager (TLS), finding out how
//            far it is, opening, connecting to the host (TLS, ticket), a module, an instance, a
//            call
//   tenant   the same, for the first session of a tenant, whose process is new: tenants come a
//   second
//            apart, so that the host has one in spare; and one upon the other, so that it has not
//   idle     what a tenant's process grows by for each further session that has made a call and
//            waits, less the linear memory of its guests (start_memory.h)
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "figures.h"
#include "identity/certificate.h"
#include "identity/cluster_folder.h"
#include "modules/touch.h"
#include "start_memory.h"
#include "support/process.h"
#include "support/programs.h"
#include "support/temp_dir.h"
#include "test_paths.h"
#include "touch.aloft.h"
#include <aloft/cluster.h>
#include <aloft/runtime.h>

namespace aloft::bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kPatience = 60s;
constexpr auto kApart = 1s;

struct Options {
  std::string json;
  std::size_t opens = 100;    // of a tenant that has a process
  std::size_t tenants = 30;   // that come for the first time, of each kind
  std::size_t sessions = 64;  // that are idle
};

std::string tenant_name(std::size_t index) { return "tenant-" + std::to_string(index); }

// A cluster of one machine.
class OneMachine {
 public:
  [[nodiscard]] Result<void> start(std::size_t tenants) {
    auto made = identity::create_cluster_folder(
        keys(), {.name = "bench", .modules = identity::Unsigned::allowed});
    if (!made) return made;
    std::string file;
    for (std::size_t i = 0; i < tenants; ++i) {
      file += "[tenants." + tenant_name(i) +
              "]\nmax_sessions = 1000\nmemory = \"1TiB\"\ncpu_millicores = 1000000\n"
              "opens_per_second = 100000\nopen_burst = 100000\nmodules = [\"*\"]\n"
              "allow_unsigned = true\n";
    }
    testing::write_file(keys() / "tenants.toml", std::as_bytes(std::span(file)));
    auto up = testing::aloft_up(folder_.path(),
                                {(testing::binary_dir() / "modules/touch.wasm").string()});
    if (!up) return std::unexpected(up.error());
    up_.emplace(std::move(up->process));
    manager_ = up->manager;
    auto authority = identity::Authority::load(keys());
    if (!authority) return std::unexpected(authority.error());
    authority_.emplace(*std::move(authority));
    return {};
  }

  // What a device of this tenant is given beforehand.
  [[nodiscard]] Result<ClusterOptions> device_of(const std::string& tenant) const {
    const auto issued = authority_->issue(
        {.identity = {authority_->cluster(), identity::Role::tenant, tenant}, .hosts = {}});
    if (!issued) return std::unexpected(issued.error());
    ClusterOptions options;
    options.managers = {manager_};
    options.authority = authority_->certificate_pem();
    options.certificate = issued->certificate_pem;
    options.key = issued->key_pem;
    // Little, so that many fit on any machine.
    options.memory_bytes = std::uint64_t{32} << 20U;
    options.cpu_millicores = 10;
    return options;
  }

  [[nodiscard]] pid_t pid() const { return up_->pid(); }
  [[nodiscard]] std::string transcript() const { return up_->transcript(); }

 private:
  [[nodiscard]] std::filesystem::path keys() const { return folder_ / "cluster"; }

  const testing::TempDir folder_;
  std::optional<testing::Process> up_;
  std::optional<identity::Authority> authority_;
  std::string manager_;
};

struct Opened {
  std::unique_ptr<Runtime> runtime;
  double placed_ms = 0;  // until the cluster has said where the session is
  double ready_ms = 0;   // until the module is open at the host
  double first_ms = 0;   // until the first result
};

// From nothing to the first result.
Result<Opened> open(const ClusterOptions& device) {
  const auto begin = Clock::now();
  const auto since = [&] {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  };
  auto cluster = join_cluster(device);
  if (!cluster) return std::unexpected(cluster.error());
  const auto elsewhere = std::make_shared<bool>(false);
  RuntimeOptions options;
  options.cluster = *cluster;
  options.policy = remote_policy();
  // Its log says when it was placed; nothing of it is printed.
  const auto placed_ms = std::make_shared<std::atomic<double>>(0);
  options.log = [placed_ms, begin](LogLevel, std::string_view line) {
    if (!line.starts_with("the cluster gives ")) return;
    *placed_ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  };
  options.on_call = [elsewhere](const CallRecord& record) {
    *elsewhere |= record.place != Place::edge;
  };
  auto runtime = Runtime::create(std::move(options));
  if (!runtime) return std::unexpected(runtime.error());
  if (auto ready = (*runtime)->wait_for_edge(kPatience); !ready)
    return std::unexpected(ready.error());
  Opened opened{.runtime = *std::move(runtime), .placed_ms = *placed_ms, .ready_ms = since()};
  bind(*opened.runtime);
  if (touch::nothing(1) != 2) return fail(Errc::internal, "a call came to something else");
  opened.first_ms = since();
  unbind();
  if (*elsewhere) return fail(Errc::internal, "the first call did not run at the host");
  return opened;
}

struct Figures {
  std::vector<double> open_ms, placed_ms, ready_ms, tenant_ms, crowd_ms;
  double idle_bytes = 0, guest_bytes = 0;
};

Result<void> measure_opens(const OneMachine& machine, const Options& options, Figures& figures) {
  const auto device = machine.device_of(tenant_name(0));
  if (!device) return std::unexpected(device.error());
  // The first ones have the module compiled, and the process started.
  for (std::size_t i = 0; i < options.opens + 3; ++i) {
    auto opened = open(*device);
    if (!opened) return std::unexpected(opened.error());
    if (i < 3) continue;
    figures.open_ms.push_back(opened->first_ms);
    figures.placed_ms.push_back(opened->placed_ms);
    figures.ready_ms.push_back(opened->ready_ms);
  }
  return {};
}

Result<void> measure_tenants(const OneMachine& machine, const Options& options, Figures& figures) {
  for (std::size_t i = 1; i <= 2 * options.tenants; ++i) {
    const bool apart = i <= options.tenants;
    if (apart) std::this_thread::sleep_for(kApart);
    const auto device = machine.device_of(tenant_name(i));
    if (!device) return std::unexpected(device.error());
    auto opened = open(*device);
    if (!opened) return std::unexpected(opened.error());
    (apart ? figures.tenant_ms : figures.crowd_ms).push_back(opened->first_ms);
  }
  return {};
}

Result<void> measure_idle(const OneMachine& machine, const Options& options, Figures& figures) {
  // A tenant whose process is new: what sessions leave behind that have ended would be used again,
  // and not be seen.
  const std::string tenant = tenant_name(2 * options.tenants + 1);
  const auto device = machine.device_of(tenant);
  if (!device) return std::unexpected(device.error());
  std::vector<Opened> sessions;
  const auto open_until = [&](std::size_t count) -> Result<ProcessMemory> {
    while (sessions.size() < count) {
      auto opened = open(*device);
      if (!opened) return std::unexpected(opened.error());
      sessions.push_back(*std::move(opened));
    }
    const auto handler = handler_of(machine.pid(), tenant);
    if (!handler) return std::unexpected(handler.error());
    return memory_of(*handler);
  };
  // The first quarter shows what comes once.
  const std::size_t first = options.sessions / 4;
  const auto before = open_until(first);
  if (!before) return std::unexpected(before.error());
  const auto after = open_until(options.sessions);
  if (!after) return std::unexpected(after.error());
  const auto count = static_cast<double>(options.sessions - first);
  figures.guest_bytes =
      (static_cast<double>(after->guests) - static_cast<double>(before->guests)) / count;
  figures.idle_bytes =
      (static_cast<double>(after->all) - static_cast<double>(before->all)) / count -
      figures.guest_bytes;
  return {};
}

Result<void> run(const Options& options) {
  OneMachine machine;
  if (auto started = machine.start(2 * options.tenants + 2); !started) return started;
  Figures figures;
  for (const auto step : {&measure_opens, &measure_tenants, &measure_idle}) {
    if (auto done = step(machine, options, figures); !done)
      return fail(done.error().code, done.error().message + "\n" + machine.transcript());
  }
  const double open_p50 = quantile(figures.open_ms, 0.5),
               open_p99 = quantile(figures.open_ms, 0.99);
  const double tenant_p50 = quantile(figures.tenant_ms, 0.5);
  judge("open to first result, module compiled, p50", open_p50, "ms", 20);
  judge("the same, p99", open_p99, "ms", 60);
  std::printf("%-66s %8.2f ms\n", "  of that until the cluster has placed the session, p50",
              quantile(figures.placed_ms, 0.5));
  std::printf("%-66s %8.2f ms\n", "  until the module is open at the host, p50",
              quantile(figures.ready_ms, 0.5));
  judge("a tenant's first session, p50", tenant_p50, "ms", 100);
  std::printf("%-66s %8.2f ms\n", "  the same, of tenants that come one upon the other, p50",
              quantile(figures.crowd_ms, 0.5));
  judge("an idle session beside its guests' memory", figures.idle_bytes / 1024, "KiB", 256);
  std::printf("%-66s %8.2f KiB\n", "  its guests' memory", figures.guest_bytes / 1024);
  write_json(options.json, nlohmann::json{{"open_p50_ms", open_p50},
                                          {"open_p99_ms", open_p99},
                                          {"tenant_first_p50_ms", tenant_p50},
                                          {"tenant_crowd_p50_ms", quantile(figures.crowd_ms, 0.5)},
                                          {"idle_session_bytes", figures.idle_bytes},
                                          {"idle_session_guest_bytes", figures.guest_bytes}});
  return {};
}

}  // namespace
}  // namespace aloft::bench

int main(int argc, char** argv) {
  aloft::bench::Options options;
  CLI::App app{"How soon a session of a cluster is of use, and what an idle one costs"};
  app.add_option("--json", options.json, "file for the figures");
  app.add_option("--opens", options.opens, "sessions of a tenant that has a process")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_option("--tenants", options.tenants, "tenants that come for the first time")
      ->check(CLI::Range(1, 30))
      ->capture_default_str();
  app.add_option("--sessions", options.sessions, "sessions that are idle at the end")
      ->check(CLI::Range(4, 256))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  aloft::bench::must(aloft::bench::run(options));
  return 0;
}
