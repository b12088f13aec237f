#include "cluster/manager.h"

#include <atomic>
#include <optional>
#include <utility>

#include <grpcpp/create_channel.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <spdlog/spdlog.h>

#include "cluster/authenticator.h"
#include "cluster/caretaker.h"
#include "cluster/cluster_clock.h"
#include "cluster/hosts_service.h"
#include "cluster/ledger.h"
#include "cluster/metrics.h"
#include "cluster/offload_manager.h"
#include "cluster/ops_server.h"
#include "cluster/placer.h"
#include "cluster/session_table.h"
#include "cluster/session_watchers.h"
#include "cluster/table.h"
#include "cluster/tenants.h"
#include "identity/certificate.h"
#include "identity/key_file.h"
#include "identity/name.h"
#include "identity/ticket_keys.h"

namespace aloft::cluster {
namespace {

constexpr int kMaxMessage = 512 * 1024;  // bytes; a heartbeat of 1,024 modules is the largest
constexpr std::chrono::milliseconds kStopLimit{3000};

struct Files {
  std::string authority, certificate, key;
};

Result<Files> read_files(const std::filesystem::path& folder) {
  using identity::Secrecy;
  auto authority = identity::read_key_file(folder / "ca.pem", Secrecy::open);
  if (!authority) return std::unexpected(authority.error());
  auto certificate = identity::read_key_file(folder / "manager.pem", Secrecy::open);
  if (!certificate) return std::unexpected(certificate.error());
  auto key = identity::read_key_file(folder / "manager.key", Secrecy::secret);
  if (!key) return std::unexpected(key.error());
  return Files{*std::move(authority), *std::move(certificate), *std::move(key)};
}

std::shared_ptr<grpc::ServerCredentials> server_credentials(const Files& files) {
  // A caller without a certificate may have a token; a certificate of another authority is refused.
  grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = files.authority;
  options.pem_key_cert_pairs.push_back({files.key, files.certificate});
  return grpc::SslServerCredentials(options);
}

}  // namespace

// In the order in which they need each other; see stop() for the other way round.
struct Manager::Impl {
  Impl(Store& given, ManagerOptions from) : store(given), options(std::move(from)) {}

  [[nodiscard]] Result<void> start();
  [[nodiscard]] Result<void> listen(const Files& files);
  void count_all();

  Store& store;
  const ManagerOptions options;
  std::string cluster;
  Metrics metrics;
  std::unique_ptr<Tenants> tenants;
  std::unique_ptr<ClusterClock> clock;
  Tables tables;
  std::unique_ptr<SessionWatchers> watchers;
  std::unique_ptr<Ledger> ledger;
  std::unique_ptr<SessionTable> sessions;
  std::unique_ptr<HostClients> hosts;
  std::unique_ptr<Placer> placer;
  std::unique_ptr<Authenticator> authenticator;
  std::unique_ptr<Caretaker> caretaker;
  // The same, for those who may be there before it is made: it needs no word of the first list.
  std::atomic<Caretaker*> wakes = nullptr;
  std::unique_ptr<HostsService> hosts_service;
  std::unique_ptr<OffloadManagerService> service;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<OpsServer> ops;
  int port = 0;
  bool stopped = false;
};

Result<void> Manager::Impl::start() {
  if (!identity::is_name(options.name)) {
    return fail(Errc::invalid_argument,
                "a manager's name is 1 to 63 of a-z, 0-9 and '-', not \"" + options.name + "\"");
  }
  const auto files = read_files(options.credentials);
  if (!files) return std::unexpected(files.error());
  const auto own = identity::identity_of(files->certificate);
  if (!own) {
    return fail(own.error().code,
                (options.credentials / "manager.pem").string() + ": " + own.error().message);
  }
  if (own->role != identity::Role::manager) {
    return fail(Errc::refused, (options.credentials / "manager.pem").string() +
                                   ": is a certificate of a " + std::string(to_string(own->role)));
  }
  cluster = own->cluster;
  auto keys = identity::load_ticket_keys(options.credentials);
  if (!keys) return std::unexpected(keys.error());

  auto opened = Tenants::open(
      options.tenants.empty() ? options.credentials / "tenants.toml" : options.tenants,
      [](const Result<void>& outcome) {
        if (outcome) {
          spdlog::info("the tenants file has changed, and is in force");
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
  sessions = std::make_unique<SessionTable>(tables, *ledger, ResourceManager(options.preference),
                                            times, now);
  grpc::SslCredentialsOptions to_hosts;
  to_hosts.pem_root_certs = files->authority;
  to_hosts.pem_cert_chain = files->certificate;
  to_hosts.pem_private_key = files->key;
  hosts = std::make_unique<HostClients>(grpc::SslCredentials(to_hosts), options.host_calls);
  placer = std::make_unique<Placer>(tables, *sessions, *hosts, keys->signing, now,
                                    PlacerOptions{.ticket_lives = options.ticket_lives,
                                                  .session_lives = options.session_lives,
                                                  .authority_pem = files->authority});
  authenticator = std::make_unique<Authenticator>(cluster, table);

  tables.sessions.on_change(
      [this](const std::string& id, const RecordTable::Row&) { watchers->tell(id); });
  tables.hosts.on_change([this](const std::string& id, const RecordTable::Row& row) {
    if (!row.record) {
      spdlog::info("host {} is gone", id);
      hosts->forget(id);
    }
    if (Caretaker* const listening = wakes.load()) listening->wake();
  });
  if (auto followed = tables.follow(store); !followed) return followed;

  hosts_service = std::make_unique<HostsService>(
      HostsServiceParts{.store = store,
                        .tables = tables,
                        .ledger = *ledger,
                        .authenticator = *authenticator,
                        .metrics = metrics,
                        .now = now,
                        .at_least = [at = clock.get()](ClusterTime time) { at->at_least(time); },
                        .ticket_keys = keys->accepted},
      HostsServiceOptions{.lease = options.host_lease});
  caretaker = std::make_unique<Caretaker>(store, tables, *ledger, *sessions, *placer, now, table,
                                          CaretakerOptions{.manager = options.name,
                                                           .address = options.listen,
                                                           .session_lives = options.session_lives});
  wakes = caretaker.get();
  service = std::make_unique<OffloadManagerService>(
      OffloadManagerParts{.store = store,
                          .tables = tables,
                          .ledger = *ledger,
                          .sessions = *sessions,
                          .placer = *placer,
                          .caretaker = *caretaker,
                          .authenticator = *authenticator,
                          .watchers = *watchers,
                          .metrics = metrics,
                          .tenants = table},
      OffloadManagerOptions{.cluster = cluster,
                            .default_memory_bytes = options.default_memory_bytes,
                            .default_cpu_millicores = options.default_cpu_millicores});
  count_all();
  return listen(*files);
}

Result<void> Manager::Impl::listen(const Files& files) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options.listen, server_credentials(files), &port);
  // Two managers at one address would share its connections unseen.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.SetMaxReceiveMessageSize(kMaxMessage);
  builder.RegisterService(service.get());
  builder.RegisterService(hosts_service.get());
  server = builder.BuildAndStart();
  if (!server || port == 0) {
    return fail(Errc::unreachable, "cannot listen on " + options.listen +
                                       ": it is taken, is not this machine's, or the certificate "
                                       "and key in " +
                                       options.credentials.string() + " do not go together");
  }
  if (options.ops_listen.empty()) return {};
  auto listening =
      OpsServer::listen(options.ops_listen, {.metrics = [this] { return metrics.text(); },
                                             .ready = [this]() -> Result<void> {
                                               if (caretaker->in_contact() && tables.following())
                                                 return {};
                                               return fail(Errc::unreachable,
                                                           "the cluster's state cannot be reached");
                                             }});
  if (!listening) return std::unexpected(listening.error());
  ops = *std::move(listening);
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
  metrics.count("aloft_manager_sessions_placed_again_total",
                "Sessions whose host was gone, at another one now",
                [=, this] { return number(caretaker->counts().placed_again); });
  metrics.count("aloft_manager_sessions_moved_total",
                "Sessions that moved from a draining host, or had waited",
                [=, this] { return number(caretaker->counts().moved); });
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

void Manager::stop(std::chrono::milliseconds limit) {
  Impl& all = *impl_;
  if (std::exchange(all.stopped, true)) return;
  if (all.server) {
    if (auto* const health = all.server->GetHealthCheckService()) health->Shutdown();
    all.watchers->end();
    all.server->Shutdown(std::chrono::system_clock::now() + limit);
    all.server->Wait();
  }
  all.ops.reset();
  all.service.reset();
  all.hosts_service.reset();
  // It changes nothing any more; then no word of a change comes; then who would have heard it goes.
  if (all.caretaker) all.caretaker->stop();
  all.tables.stop();
  all.caretaker.reset();
  all.ledger.reset();
}

Manager::~Manager() { stop(kStopLimit); }

std::uint16_t Manager::port() const { return static_cast<std::uint16_t>(impl_->port); }
std::uint16_t Manager::ops_port() const { return impl_->ops ? impl_->ops->port() : 0; }
const std::string& Manager::cluster() const { return impl_->cluster; }
identity::ClusterTime Manager::now() const { return impl_->clock->now(); }

}  // namespace aloft::cluster
