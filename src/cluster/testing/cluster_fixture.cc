#include "cluster/testing/cluster_fixture.h"

#include <cstdlib>
#include <span>
#include <utility>

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include "cluster/embedded_store.h"
#include "cluster/etcd_store.h"
#include "identity/cluster_folder.h"

namespace aloft::cluster::testing {
namespace {

// A test cannot go on without its cluster.
template <class T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "the cluster of this test: %s\n", result.error().message.c_str());
    std::abort();
  }
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

}  // namespace

Cluster::Cluster(const std::string& tenants, std::function<void(ManagerOptions&)> tune,
                 int managers, StoreKind kind)
    : credentials_(folder_ / "cluster"), tune_(std::move(tune)) {
  must(identity::create_cluster_folder(credentials_, {.name = "test"}));
  authority_ = std::make_unique<identity::Authority>(must(identity::Authority::load(credentials_)));
  aloft::testing::write_file(credentials_ / "tenants.toml", std::as_bytes(std::span(tenants)));
  if (kind == StoreKind::etcd) {
    std::filesystem::create_directory(folder_ / "etcd");
    etcd_ = must(aloft::testing::EtcdCluster::start(folder_ / "etcd"));
    EtcdOptions options;
    options.endpoints = etcd_->endpoints();
    options.prefix = "aloft/test/";
    store_ = must(EtcdStore::open(options));
    for (int i = 0; i < managers; ++i) stores_.push_back(must(EtcdStore::open(options)));
  } else {
    store_ = must(EmbeddedStore::open(folder_ / "store.db"));
  }
  ports_.resize(static_cast<std::size_t>(managers));
  managers_.resize(static_cast<std::size_t>(managers));
  for (std::size_t i = 0; i < managers_.size(); ++i) start_manager(i);
}

void Cluster::start_manager(std::size_t index) {
  ManagerOptions options;
  options.name = "m" + std::to_string(index);
  options.listen = "127.0.0.1:" + std::to_string(ports_[index]);
  options.credentials = credentials_;
  options.ops_listen = "127.0.0.1:0";
  options.host_lease = std::chrono::seconds(2);
  if (tune_) tune_(options);
  managers_[index] = must(Manager::start(stores_.empty() ? *store_ : *stores_[index], options));
  ports_[index] = managers_[index]->port();
}

std::string Cluster::address(std::size_t index) const {
  return "127.0.0.1:" + std::to_string(ports_[index]);
}

std::vector<std::string> Cluster::addresses() const {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < ports_.size(); ++i) all.push_back(address(i));
  return all;
}

std::unique_ptr<SimulatedHost> Cluster::host(SimulatedHostOptions options) {
  if (options.managers.empty()) options.managers = addresses();
  auto host = std::make_unique<SimulatedHost>(*authority_, std::move(options));
  EXPECT_TRUE(eventually([&] { return host->registered().has_value(); }))
      << host->registered().error().message;
  return host;
}

Cluster::Client Cluster::as(const identity::Identity& identity, std::size_t manager) {
  const auto issued = must(authority_->issue({.identity = identity, .hosts = {"127.0.0.1"}}));
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = authority_->certificate_pem();
  tls.pem_cert_chain = issued.certificate_pem;
  tls.pem_private_key = issued.key_pem;
  return v1::OffloadManager::NewStub(
      grpc::CreateChannel(address(manager), grpc::SslCredentials(tls)));
}

Cluster::Client Cluster::tenant(const std::string& name, std::size_t manager) {
  return as({.cluster = "test", .role = identity::Role::tenant, .name = name}, manager);
}

Cluster::Client Cluster::operator_(std::size_t manager) {
  return as({.cluster = "test", .role = identity::Role::operator_, .name = "operator"}, manager);
}

Cluster::Client Cluster::nobody(std::size_t manager) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = authority_->certificate_pem();
  return v1::OffloadManager::NewStub(
      grpc::CreateChannel(address(manager), grpc::SslCredentials(tls)));
}

std::string roomy_tenant(const std::string& name) {
  return "[tenants." + name + R"(]
max_sessions = 1000
memory = "1TiB"
cpu_millicores = 1000000
opens_per_second = 10000
open_burst = 10000
modules = ["*"]
allow_unsigned = true
)";
}

v1::OpenSessionRequest open_request(const std::string& key) {
  v1::OpenSessionRequest request;
  auto* const module = request.add_modules();
  module->set_name("detect");
  module->set_digest("sha256:" + std::string(64, 'a'));
  request.set_client_key_sha256(std::string(32, 'k'));
  request.set_idempotency_key(key);
  return request;
}

}  // namespace aloft::cluster::testing
