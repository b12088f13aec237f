// aloft-manager: an Offload Manager. Opens sessions for devices, places them at hosts, and keeps
// what it knows in an embedded store or in etcd.
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "cluster/embedded_store.h"
#include "cluster/etcd_store.h"
#include "cluster/manager.h"
#include "config/schema.h"
#include "daemon_signals.h"
#include "descriptors.h"
#include "identity/certificate.h"
#include "identity/key_file.h"
#include "ops/log.h"
#include "rpc/grpc_log.h"

namespace {

using namespace aloft;

constexpr int kFailed = 1;
constexpr int kUsageError = 2;

struct Options {
  cluster::ManagerOptions manager;
  std::string store = "embedded";
  std::filesystem::path data;
  std::string survives = "power-cut";
  cluster::EtcdOptions etcd;
  std::string preference = "spread";
  std::string log_level = "info";
  std::string log_format = "text";
  std::chrono::milliseconds host_lease{3000};
  Bytes default_memory{64_MiB};
  std::chrono::milliseconds stop_limit{3000};
};

int say(const Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message.c_str());
  return error.code == Errc::invalid_argument ? kUsageError : kFailed;
}

// A name that no other manager has: of the machine, and of this process.
std::string own_name() {
  std::array<char, 256> host{};
  std::string name = "manager";
  if (::gethostname(host.data(), host.size() - 1) == 0) name = host.data();
  std::string good;
  for (const char c : name.substr(0, 48)) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    const bool capital = c >= 'A' && c <= 'Z';
    good += letter ? c : capital ? static_cast<char>(c - 'A' + 'a') : '-';
  }
  while (!good.empty() && good.front() == '-') good.erase(0, 1);
  return (good.empty() ? "manager" : good) + "-" + std::to_string(::getpid());
}

config::Schema schema_of(Options& options) {
  config::Schema schema("aloft-manager",
                        "An aloft Offload Manager: opens sessions and places them at hosts",
                        "ALOFT_MANAGER");
  auto& manager = options.manager;
  schema
      .option("listen", manager.listen, "HOST:PORT for devices, hosts and operators; 0: a free one")
      .option("ops_listen", manager.ops_listen,
              "IP:PORT of /metrics, /healthz and /readyz, in clear; none: there are none")
      .option("credentials", manager.credentials,
              "folder with ca.pem, manager.pem, manager.key and ticket.key (aloft cluster init)",
              config::Need::required)
      .option("tenants", manager.tenants, "the tenants file; none: tenants.toml in `credentials`")
      .option("name", manager.name, "of this manager; none: the machine's, and the process id")
      .choice("store.kind", options.store, {"embedded", "etcd"},
              "where the cluster's state is; embedded: one manager")
      .option("store.data", options.data, "file of the embedded store")
      .choice("store.survives", options.survives, {"power-cut", "kill"},
              "what changes of the embedded store survive; kill: they do not wait for the disk")
      .option("store.endpoints", options.etcd.endpoints, "HOST:PORT of etcd's members")
      .option("store.ca", options.etcd.authority, "PEM file: etcd's authority")
      .option("store.cert", options.etcd.certificate, "PEM file: the certificate shown to etcd")
      .option("store.key", options.etcd.key, "PEM file: its private key")
      .option("discovery.announce", manager.announce,
              "by multicast DNS-SD (_aloft._tcp), through this machine's Avahi daemon")
      .choice("placement.preference", options.preference, {"spread", "pack"},
              "sessions go apart, or together")
      .option("placement.rebalance", manager.rebalance,
              "live sessions move from loaded hosts to idle ones, a few at a time")
      .option("sessions.lives", manager.session_lives, "how long without a renewal")
      .option("sessions.leaving", manager.leaving,
              "how long a moved session's former host keeps its room")
      .option("sessions.memory", options.default_memory, "of a session that asks for none")
      .number("sessions.cpu_millicores", manager.default_cpu_millicores, 1, 1'000'000,
              "of a session that asks for none; 1000 is one core")
      .option("tickets.live", manager.ticket_lives, "how long a ticket opens its door")
      .option("hosts.lease", options.host_lease,
              "how long a host that says nothing is taken to be there; whole seconds")
      .option("hosts.prepare_limit", manager.host_calls.prepare,
              "how long a host may take to get ready for a session")
      .option("stop_limit", options.stop_limit, "how long requests under way may take at the end")
      .choice("log.level", options.log_level, {"debug", "info", "warn", "error"}, "what is logged")
      .choice("log.format", options.log_format, {"text", "json"},
              "lines for people, or a JSON object each");
  return schema;
}

Result<void> check(Options& options) {
  const auto wrong = [](std::string message) {
    return fail(Errc::invalid_argument, std::move(message));
  };
  using std::chrono::seconds;
  if (options.host_lease < seconds(2) || options.host_lease % seconds(1) != seconds(0)) {
    return wrong("hosts.lease: whole seconds, at least 2");
  }
  if (options.manager.session_lives < seconds(1)) return wrong("sessions.lives: at least 1s");
  if (options.manager.ticket_lives < seconds(1)) return wrong("tickets.live: at least 1s");
  if (options.store == "embedded" && options.data.empty()) {
    return wrong("store.data: the embedded store needs a file (--store-data FILE)");
  }
  if (options.store == "etcd" && options.etcd.endpoints.empty()) {
    return wrong("store.endpoints: say where etcd's members are (--store-endpoints HOST:PORT,...)");
  }
  options.manager.host_lease = std::chrono::duration_cast<seconds>(options.host_lease);
  options.manager.default_memory_bytes = options.default_memory.count();
  options.manager.preference =
      options.preference == "pack" ? cluster::Preference::pack : cluster::Preference::spread;
  if (options.manager.name.empty()) options.manager.name = own_name();
  return {};
}

Result<std::unique_ptr<cluster::Store>> open_store(Options& options) {
  if (options.store == "embedded") {
    return cluster::EmbeddedStore::open(
        options.data, {.survives = options.survives == "kill" ? cluster::Survives::kill
                                                              : cluster::Survives::power_cut});
  }
  // One etcd may keep several clusters.
  const auto certificate =
      identity::read_key_file(options.manager.credentials / "manager.pem", identity::Secrecy::open);
  if (!certificate) return std::unexpected(certificate.error());
  const auto own = identity::identity_of(*certificate);
  if (!own) return std::unexpected(own.error());
  options.etcd.prefix = "aloft/" + own->cluster + "/";
  return cluster::EtcdStore::open(options.etcd);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  auto schema = schema_of(options);
  const auto loaded = schema.load(argc, argv, config::environment());
  if (!loaded) return say(loaded.error());
  if (*loaded == config::Schema::Outcome::shown) return 0;
  if (auto checked = check(options); !checked) return say(checked.error());

  ops::start_logging("aloft-manager", options.log_level, ops::parse_log_format(options.log_format));
  rpc::log_as_this_program();

  allow_all_descriptors();
  const sigset_t signals = block_daemon_signals();
  auto store = open_store(options);
  if (!store) return say(store.error());
  auto manager = cluster::Manager::start(**store, options.manager);
  if (!manager) return say(manager.error());
  std::printf("aloft-manager: cluster %s, listening on port %u\n", (*manager)->cluster().c_str(),
              static_cast<unsigned>((*manager)->port()));
  if ((*manager)->ops_port() != 0) {
    std::printf("aloft-manager: /metrics, /healthz and /readyz on port %u\n",
                static_cast<unsigned>((*manager)->ops_port()));
  }
  std::fflush(stdout);

  const int signal = wait_for_end(signals, [&] { (*manager)->reload(); });
  spdlog::info("signal {}: ending", signal);
  (*manager)->stop(options.stop_limit);
  return 0;
}
