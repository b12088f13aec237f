#include "control_cluster.h"

#include <array>
#include <fstream>
#include <span>
#include <thread>
#include <utility>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <signal.h>
#include <time.h>

#include "cluster/embedded_store.h"
#include "cluster/etcd_store.h"
#include "identity/cluster_folder.h"
#include "test_paths.h"

namespace aloft::bench {
namespace {

using namespace std::chrono_literals;

constexpr const char* kCluster = "bench";
constexpr auto kStartLimit = 60s;
// As a host does that was given a lease of 3 s.
constexpr std::chrono::milliseconds kHeartbeat{750};
constexpr const char* kDigest =
    "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

std::string tenant_name(std::size_t index) { return "tenant-" + std::to_string(index); }

std::string tenants_file(std::size_t tenants) {
  std::string text;
  for (std::size_t i = 0; i < tenants; ++i) {
    text += "[tenants." + tenant_name(i) +
            "]\nmax_sessions = 1000000\nmemory = \"64TiB\"\ncpu_millicores = 1000000000\n"
            "opens_per_second = 1000000\nopen_burst = 1000000\nmodules = [\"*\"]\n"
            "allow_unsigned = true\n";
  }
  return text;
}

void add_usage(Usage& usage, pid_t pid) {
  std::ifstream rollup("/proc/" + std::to_string(pid) + "/smaps_rollup");
  for (std::string word; rollup >> word;) {
    std::uint64_t kib = 0;
    if (word == "Rss:" && rollup >> kib) usage.memory_bytes += kib << 10U;
  }
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(pid, &clock) == 0 && ::clock_gettime(clock, &time) == 0)
    usage.cpu += std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

// The manager's metrics; empty: it does not answer.
std::string metrics_of(const std::string& port) {
  namespace http = boost::beast::http;
  boost::asio::io_context io;
  boost::beast::tcp_stream stream(io);
  stream.expires_after(5s);
  boost::system::error_code error;
  stream.connect(
      {boost::asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(std::stoi(port))},
      error);
  if (error) return {};
  http::request<http::empty_body> request{http::verb::get, "/metrics", 11};
  request.set(http::field::host, "localhost");
  http::write(stream, request, error);
  boost::beast::flat_buffer buffer;
  http::response<http::string_body> response;
  if (!error) http::read(stream, buffer, response, error);
  return error ? std::string() : response.body();
}

std::string last_word(const std::string& line) { return line.substr(line.rfind(' ') + 1); }

}  // namespace

const char* to_string(StoreKind kind) { return kind == StoreKind::etcd ? "etcd" : "embedded"; }

Result<std::unique_ptr<ControlCluster>> ControlCluster::start(
    const ControlClusterOptions& options) {
  std::unique_ptr<ControlCluster> cluster(new ControlCluster(options));
  if (auto made = cluster->make(); !made)
    return fail(made.error().code, made.error().message + "\n" + cluster->transcript());
  return cluster;
}

Result<void> ControlCluster::make() {
  if (auto made = identity::create_cluster_folder(folder_ / "cluster", {.name = kCluster}); !made)
    return made;
  auto authority = identity::Authority::load(folder_ / "cluster");
  if (!authority) return std::unexpected(authority.error());
  authority_ = std::make_unique<identity::Authority>(*std::move(authority));
  const std::string tenants = tenants_file(options_.tenants);
  testing::write_file(folder_ / "cluster" / "tenants.toml", std::as_bytes(std::span(tenants)));
  if (options_.store == StoreKind::etcd) {
    std::filesystem::create_directory(folder_ / "etcd");
    auto etcd = testing::EtcdCluster::start(folder_ / "etcd", {.members = options_.etcd_members});
    if (!etcd) return std::unexpected(etcd.error());
    etcd_ = *std::move(etcd);
  }
  for (std::size_t i = 0; i < options_.managers; ++i) {
    if (auto started = start_manager(i); !started) return started;
  }
  return start_hosts();
}

Result<void> ControlCluster::start_manager(std::size_t index) {
  std::vector<std::string> command{(testing::binary_dir() / "bin/aloft-manager").string(),
                                   "--listen",
                                   "127.0.0.1:0",
                                   "--ops-listen",
                                   "127.0.0.1:0",
                                   "--credentials",
                                   (folder_ / "cluster").string(),
                                   "--sessions-lives",
                                   std::to_string(kSessionLives.count()) + "s",
                                   "--name",
                                   "m" + std::to_string(index),
                                   "--log-level",
                                   "warn"};
  if (etcd_) {
    std::string endpoints;
    for (const auto& endpoint : etcd_->endpoints())
      endpoints += (endpoints.empty() ? "" : ",") + endpoint;
    command.insert(command.end(), {"--store-kind", "etcd", "--store-endpoints", endpoints});
  } else {
    command.insert(command.end(), {"--store-data", (folder_ / "state.db").string()});
  }
  auto process = testing::Process::start(std::move(command));
  if (!process) return std::unexpected(process.error());
  managers_.push_back({*std::move(process), {}, {}});
  Manager& manager = managers_.back();
  const auto listening = manager.process.wait_for_line("listening on port", kStartLimit);
  const auto ops = manager.process.wait_for_line("/metrics", kStartLimit);
  if (!listening || !ops) return fail(Errc::internal, "aloft-manager does not start");
  manager.address = "127.0.0.1:" + last_word(*listening);
  manager.ops = last_word(*ops);
  return {};
}

Result<void> ControlCluster::start_hosts() {
  std::vector<std::string> managers;
  for (const Manager& manager : managers_) managers.push_back(manager.address);
  for (std::size_t i = 0; i < options_.hosts; ++i) {
    // Half of them begin with another manager.
    std::ranges::rotate(managers, managers.begin() + 1);
    hosts_.push_back(std::make_unique<cluster::testing::SimulatedHost>(
        *authority_, cluster::testing::SimulatedHostOptions{
                         .id = "host-" + std::to_string(i),
                         .managers = managers,
                         .memory_bytes = options_.sessions_per_host * kSessionMemory,
                         .cpu_millicores = 1'000'000,
                         .heartbeat = kHeartbeat}));
    hosts_.back()->compiled({kDigest});
  }
  const auto end = std::chrono::steady_clock::now() + kStartLimit;
  for (const auto& host : hosts_) {
    while (!host->registered()) {
      if (std::chrono::steady_clock::now() > end)
        return fail(Errc::deadline_exceeded,
                    "hosts do not register: " + host->registered().error().message);
      std::this_thread::sleep_for(5ms);
    }
  }
  return {};
}

Result<std::unique_ptr<ControlCluster::Stub>> ControlCluster::connect(const identity::Identity& who,
                                                                      std::size_t manager) const {
  const auto issued = authority_->issue({.identity = who, .hosts = {"127.0.0.1"}});
  if (!issued) return std::unexpected(issued.error());
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = authority_->certificate_pem();
  tls.pem_cert_chain = issued->certificate_pem;
  tls.pem_private_key = issued->key_pem;
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return v1::OffloadManager::NewStub(grpc::CreateCustomChannel(
      managers_.at(manager).address, grpc::SslCredentials(tls), arguments));
}

Result<std::unique_ptr<ControlCluster::Stub>> ControlCluster::device(std::size_t index) const {
  return connect({.cluster = kCluster,
                  .role = identity::Role::tenant,
                  .name = tenant_name(index % options_.tenants)},
                 index % managers_.size());
}

Result<std::unique_ptr<ControlCluster::Stub>> ControlCluster::operator_() const {
  return connect({.cluster = kCluster, .role = identity::Role::operator_, .name = "operator"}, 0);
}

Usage ControlCluster::managers() const {
  Usage usage;
  for (const Manager& manager : managers_) add_usage(usage, manager.process.pid());
  return usage;
}

Usage ControlCluster::store() const {
  Usage usage;
  for (std::size_t i = 0; etcd_ && i < etcd_->size(); ++i) add_usage(usage, etcd_->pid(i));
  return usage;
}

double ControlCluster::metric(const std::string& name) const {
  double sum = 0;
  for (const Manager& manager : managers_) {
    const std::string text = metrics_of(manager.ops);
    const auto at = text.find("\n" + name + " ");
    if (at != std::string::npos) sum += std::stod(text.substr(at + name.size() + 2));
  }
  return sum;
}

void ControlCluster::report_load() {
  for (const auto& host : hosts_) {
    host->load(static_cast<double>(host->sessions().size()) /
               static_cast<double>(options_.sessions_per_host));
  }
}

std::size_t ControlCluster::overfilled() const {
  std::size_t count = 0;
  for (const auto& host : hosts_)
    count += host->most_memory() > options_.sessions_per_host * kSessionMemory ? 1U : 0U;
  return count;
}

Result<std::map<std::string, std::size_t>> ControlCluster::end() {
  for (Manager& manager : managers_) manager.process.signal(SIGTERM);
  for (Manager& manager : managers_) {
    if (const auto status = manager.process.wait(20s); status != 0)
      return fail(Errc::internal, "a manager did not end as told\n" + transcript());
  }
  std::unique_ptr<cluster::Store> store;
  if (etcd_) {
    cluster::EtcdOptions options;
    options.endpoints = etcd_->endpoints();
    options.prefix = std::string("aloft/") + kCluster + "/";
    auto opened = cluster::EtcdStore::open(options);
    if (!opened) return std::unexpected(opened.error());
    store = *std::move(opened);
  } else {
    auto opened = cluster::EmbeddedStore::open(folder_ / "state.db");
    if (!opened) return std::unexpected(opened.error());
    store = *std::move(opened);
  }
  std::map<std::string, std::size_t> left;
  for (const char* const kind : {"sessions", "reservations", "quotas", "reasons"}) {
    const auto listed = store->list(std::string(kind) + "/");
    if (!listed) return std::unexpected(listed.error());
    if (!listed->entries.empty()) left[kind] = listed->entries.size();
  }
  return left;
}

std::string ControlCluster::transcript() const {
  std::string text;
  for (const Manager& manager : managers_) text += manager.process.transcript();
  return text;
}

}  // namespace aloft::bench
