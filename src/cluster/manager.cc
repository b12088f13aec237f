#include "cluster/manager.h"

#include <atomic>
#include <optional>
#include <utility>

#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <spdlog/spdlog.h>

#include "cluster/authenticator.h"
#include "cluster/caretaker.h"
#include "cluster/cluster_clock.h"
#include "cluster/hosts_service.h"
#include "cluster/ledger.h"
#include "cluster/offload_manager.h"
#include "cluster/placer.h"
#include "cluster/rollouts.h"
#include "cluster/session_table.h"
#include "cluster/session_watchers.h"
#include "cluster/table.h"
#include "cluster/tenants.h"
#include "identity/certificate.h"
#include "identity/name.h"
#include "identity/ticket_keys.h"
#include "mdns/avahi.h"
#include "ops/metrics.h"
#include "ops/ops_server.h"
#include "rpc/certificates.h"
#include "rpc/door.h"

namespace aloft::cluster {
namespace {

constexpr int kMaxMessage = 512 * 1024;  // bytes; a heartbeat of 1,024 modules is the largest
constexpr int kMaxMetadata = 16 * 1024;  // bytes; a token is the largest
constexpr std::chrono::milliseconds kStopLimit{3000};

rpc::CertificateFiles files_in(const std::filesystem::path& folder) {
  return {folder / "ca.pem", folder / "manager.pem", folder / "manager.key"};
}

}  // namespace

// In the order in which they need each other; see stop() for the other way round.
struct Manager::Impl {
  Impl(Store& given, ManagerOptions from) : store(given), options(std::move(from)) {}

  [[nodiscard]] Result<void> start();
  [[nodiscard]] Result<void> listen();
  [[nodiscard]] Result<void> announce();
  void count_all();

  Store& store;
  const ManagerOptions options;
  std::string cluster;
  ops::Metrics metrics{"aloft_manager"};
  std::unique_ptr<rpc::Certificates> certificates;
  std::unique_ptr<Tenants> tenants;
  std::unique_ptr<ClusterClock> clock;
  Tables tables;
  std::unique_ptr<SessionWatchers> watchers;
  std::unique_ptr<Ledger> ledger;
  std::unique_ptr<SessionTable> sessions;
  std::unique_ptr<HostClients> hosts;
  std::unique_ptr<Placer> placer;
  std::unique_ptr<Rollouts> rollouts;
  std::unique_ptr<Authenticator> authenticator;
  std::unique_ptr<Caretaker> caretaker;
  // The same, for those who may be there before it is made: it needs no word of the first list.
  std::atomic<Caretaker*> wakes = nullptr;
  std::unique_ptr<HostsService> hosts_service;
  std::unique_ptr<OffloadManagerService> service;
  std::unique_ptr<rpc::Door> door;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<mdns::Announcement> announcement;
  std::unique_ptr<ops::OpsServer> ops_server;
  bool stopped = false;
  std::atomic<bool> stopping = false;
};

Result<void> Manager::Impl::start() {
  if (!identity::is_name(options.name)) {
    return fail(Errc::invalid_argument,
                "a manager's name is 1 to 63 of a-z, 0-9 and '-', not \"" + options.name + "\"");
  }
  auto files = rpc::Certificates::open(files_in(options.credentials), rpc::log_certificates);
  if (!files) return std::unexpected(files.error());
  certificates = *std::move(files);
  const auto own = identity::identity_of(certificates->texts()->certificate);
  if (!own) return std::unexpected(own.error());
  if (own->role != identity::Role::manager) {
    return fail(Errc::refused, (options.credentials / "manager.pem").string() +
                                   ": is a certificate of a " + std::string(to_string(own->role)));
  }
  cluster = own->cluster;
  auto keys = identity::load_ticket_keys(options.credentials);
  if (!keys) return std::unexpected(keys.error());

  auto opened = Tenants::open(
      options.tenants.empty() ? options.credentials / "tenants.toml" : options.tenants,
      [this](const Result<void>& outcome) {
        if (outcome) {
          spdlog::info("the tenants file, or revoked.toml, has changed, and is in force");
          if (Caretaker* const listening = wakes.load()) listening->wake();
        } else {
          spdlog::error(
              "the tenants file has changed, and is not good; what was stays in force: {}",
              outcome.error().message);
        }
      });
  if (!opened) return std::unexpected(opened.error());
  tenants = *std::move(opened);
  auto started = ClusterClock::start(store);
  if (!started) return std::unexpected(started.error());
  clock = *std::move(started);
  const SessionTable::Now now = [at = clock.get()] { return at->now(); };
  const auto table = [at = tenants.get()] { return at->table(); };

  watchers = std::make_unique<SessionWatchers>(
      [this](const std::string& id) -> std::optional<v1::Session> {
        const auto session = sessions->find(id);
        if (!session) return std::nullopt;
        auto view = placer->owners_view(*session);
        v1::Session between;
        if (!view || (!session->placed() && !session->waiting())) return between;
        return *std::move(view);
      });
  ledger = std::make_unique<Ledger>(store);
  const SessionTimes times{.lives = options.session_lives, .leaving = options.leaving};
  sessions = std::make_unique<SessionTable>(
      tables, *ledger, ResourceManager(options.preference, {}, options.name), times, now);
  hosts = std::make_unique<HostClients>([at = certificates.get()] { return at->client(); },
                                        options.host_calls);
  placer = std::make_unique<Placer>(
      tables, *sessions, *hosts, keys->signing, now,
      PlacerOptions{.ticket_lives = options.ticket_lives,
                    .session_lives = options.session_lives,
                    .authority_pem = [at = certificates.get()] { return at->texts()->authority; }});
  rollouts = std::make_unique<Rollouts>(tables, *ledger);
  authenticator = std::make_unique<Authenticator>(cluster, table);

  tables.sessions.on_change(
      [this](const std::string& id, const RecordTable::Row&) { watchers->tell(id); });
  tables.rollouts.on_change([this](const std::string&, const RecordTable::Row&) {
    if (Caretaker* const listening = wakes.load()) listening->wake();
  });
  tables.hosts.on_change([this](const std::string& id, const RecordTable::Row& row) {
    if (!row.record) {
      spdlog::info("host {} is gone", id);
      hosts->forget(id);
    }
    if (Caretaker* const listening = wakes.load()) {
      listening->hear(id, static_cast<const records::HostRecord*>(row.record.get()));
    }
  });
  if (auto followed = tables.follow(store); !followed) return followed;

  hosts_service = std::make_unique<HostsService>(
      HostsServiceParts{.store = store,
                        .tables = tables,
                        .ledger = *ledger,
                        .authenticator = *authenticator,
                        .metrics = metrics,
                        .rollouts = *rollouts,
                        .sessions = *sessions,
                        .now = now,
                        .tenants = table,
                        .at_least = [at = clock.get()](ClusterTime time) { at->at_least(time); },
                        .ticket_keys = keys->accepted},
      HostsServiceOptions{.lease = options.host_lease});
  caretaker =
      std::make_unique<Caretaker>(store, tables, *ledger, *sessions, *placer, *rollouts, now, table,
                                  CaretakerOptions{.manager = options.name,
                                                   .address = options.listen,
                                                   .session_lives = options.session_lives,
                                                   .host_lease = options.host_lease,
                                                   .rebalance = options.rebalance});
  wakes = caretaker.get();
  service = std::make_unique<OffloadManagerService>(
      OffloadManagerParts{.store = store,
                          .tables = tables,
                          .ledger = *ledger,
                          .sessions = *sessions,
                          .placer = *placer,
                          .rollouts = *rollouts,
                          .caretaker = *caretaker,
                          .authenticator = *authenticator,
                          .watchers = *watchers,
                          .metrics = metrics,
                          .tenants = table},
      OffloadManagerOptions{.cluster = cluster,
                            .default_memory_bytes = options.default_memory_bytes,
                            .default_cpu_millicores = options.default_cpu_millicores});
  count_all();
  return listen();
}

Result<void> Manager::Impl::listen() {
  auto made = rpc::Door::listen(options.listen);
  if (!made) return std::unexpected(std::move(made).error());
  door = *std::move(made);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  // A caller without a certificate may have a token; a certificate of another authority is refused.
  door->lead_to(builder, certificates->server(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // Who connects has a little time to say who it is, and a little more to want something.
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, 300'000);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadata);
  builder.SetMaxReceiveMessageSize(kMaxMessage);
  builder.RegisterService(service.get());
  builder.RegisterService(hosts_service.get());
  server = builder.BuildAndStart();
  if (!server) {
    return fail(Errc::unreachable, "cannot serve on " + options.listen +
                                       ": the certificate and key in " +
                                       options.credentials.string() + " do not go together");
  }
  door->open();
  if (auto announced = announce(); !announced) return announced;
  if (options.ops_listen.empty()) return {};
  auto listening = ops::OpsServer::listen(options.ops_listen,
                                          {.metrics = [this] { return metrics.text(); },
                                           .ready = [this]() -> Result<void> {
                                             if (stopping)
                                               return fail(Errc::unreachable, "this manager ends");
                                             if (caretaker->in_contact() && tables.following())
                                               return {};
                                             return fail(Errc::unreachable,
                                                         "the cluster's state cannot be reached");
                                           }});
  if (!listening) return std::unexpected(listening.error());
  ops_server = *std::move(listening);
  return {};
}

Result<void> Manager::Impl::announce() {
  if (!options.announce) return {};
  auto made = mdns::Announcement::make(
      {.name = "aloft " + cluster + " " + options.name,
       .type = "_aloft._tcp",
       .port = door->port(),
       .text = {{"cluster", cluster}}},
      [](const Result<std::string>& outcome) {
        if (outcome) {
          spdlog::info("announced on the local networks as \"{}\"", *outcome);
        } else {
          spdlog::warn("not announced on the local networks: {}", outcome.error().message);
        }
      });
  if (!made) return fail(made.error().code, "discovery.announce: " + made.error().message);
  announcement = *std::move(made);
  return {};
}

void Manager::Impl::count_all() {
  const auto number = [](auto value) { return static_cast<double>(value); };
  metrics.gauge("aloft_manager_sessions", "Sessions of the cluster",
                [=, this] { return number(tables.sessions.size()); });
  metrics.gauge("aloft_manager_hosts", "Hosts that are there",
                [=, this] { return number(tables.hosts.size()); });
  metrics.gauge("aloft_manager_managers", "Managers that are there",
                [=, this] { return number(tables.managers.size()); });
  metrics.gauge("aloft_manager_session_watches", "Streams of WatchSession at this manager",
                [=, this] { return number(watchers->size()); });
  metrics.gauge("aloft_manager_in_contact", "1: the cluster's state can be reached",
                [=, this] { return number(caretaker->in_contact() ? 1 : 0); });
  metrics.count("aloft_manager_sessions_expired_total", "Sessions that nobody had renewed",
                [=, this] { return number(caretaker->counts().expired); });
  metrics.count("aloft_manager_sessions_revoked_total",
                "Sessions closed, since what they were opened with had been revoked",
                [=, this] { return number(caretaker->counts().revoked); });
  metrics.count("aloft_manager_sessions_placed_again_total",
                "Sessions whose host was gone, at another one now",
                [=, this] { return number(caretaker->counts().placed_again); });
  metrics.count("aloft_manager_sessions_moved_total",
                "Sessions that moved from a draining host, or had waited",
                [=, this] { return number(caretaker->counts().moved); });
  metrics.count("aloft_manager_sessions_changed_version_total",
                "Sessions that a rollout gave another version of a module, or the one before",
                [=, this] { return number(caretaker->counts().changed_version); });
  metrics.count("aloft_manager_rollouts_taken_back_total",
                "Rollouts that this manager took back, since the new version did not do",
                [=, this] { return number(rollouts->taken_back()); });
  metrics.count("aloft_manager_commits_total", "Transactions of the store that were made",
                [=, this] { return number(ledger->counts().commits); });
  metrics.count("aloft_manager_commit_conflicts_total",
                "Transactions that were not made, since another manager was quicker",
                [=, this] { return number(ledger->counts().conflicts); });
  metrics.count("aloft_manager_commit_failures_total", "Transactions that the store failed",
                [=, this] { return number(ledger->counts().failures); });
}

Manager::Manager(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Manager>> Manager::start(Store& store, ManagerOptions options) {
  std::unique_ptr<Manager> manager(new Manager(std::make_unique<Impl>(store, std::move(options))));
  if (auto started = manager->impl_->start(); !started) return std::unexpected(started.error());
  return manager;
}

void Manager::reload() {
  // Both tell what has come of it, as when their watch has noticed.
  (void)impl_->certificates->reload();
  (void)impl_->tenants->reload();
}

void Manager::stop(std::chrono::milliseconds limit) {
  Impl& all = *impl_;
  if (std::exchange(all.stopped, true)) return;
  all.stopping = true;
  all.announcement.reset();  // nobody is to come any more
  if (all.door) all.door->close();
  if (all.server) {
    if (auto* const health = all.server->GetHealthCheckService()) health->Shutdown();
    all.watchers->end();
    all.server->Shutdown(std::chrono::system_clock::now() + limit);
    all.server->Wait();
  }
  all.ops_server.reset();
  all.service.reset();
  all.hosts_service.reset();
  // It changes nothing any more; then no word of a change comes; then who would have heard it goes.
  if (all.caretaker) all.caretaker->stop();
  all.tables.stop();
  all.tenants.reset();
  all.caretaker.reset();
  all.ledger.reset();
}

Manager::~Manager() { stop(kStopLimit); }

std::uint16_t Manager::port() const { return impl_->door->port(); }
std::uint16_t Manager::ops_port() const {
  return impl_->ops_server ? impl_->ops_server->port() : 0;
}
const std::string& Manager::cluster() const { return impl_->cluster; }
identity::ClusterTime Manager::now() const { return impl_->clock->now(); }

}  // namespace aloft::cluster
