#include "support/local_cluster.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <grpcpp/create_channel.h>

#include "channel/tls.h"
#include "host/testing/hellos.h"
#include "support/programs.h"
#include "support/temp_dir.h"
#include "support/text_file.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

constexpr auto kStartLimit = 60s;

// The message of a status, with its code as aloft has it.
Error error_of(const grpc::Status& status) {
  const auto code = [&] {
    switch (status.error_code()) {
      case grpc::StatusCode::INVALID_ARGUMENT: return Errc::invalid_argument;
      case grpc::StatusCode::NOT_FOUND: return Errc::not_found;
      case grpc::StatusCode::UNAUTHENTICATED:
      case grpc::StatusCode::PERMISSION_DENIED: return Errc::refused;
      case grpc::StatusCode::RESOURCE_EXHAUSTED: return Errc::overloaded;
      case grpc::StatusCode::DEADLINE_EXCEEDED: return Errc::deadline_exceeded;
      case grpc::StatusCode::UNAVAILABLE: return Errc::unreachable;
      case grpc::StatusCode::FAILED_PRECONDITION: return Errc::corrupt;
      default: return Errc::internal;
    }
  }();
  return {code, status.error_message()};
}

}  // namespace

// --- a device --------------------------------------------------------------------------

ClusterDevice::ClusterDevice(std::string manager, std::string authority_pem,
                             identity::IssuedCertificate own)
    : authority_(std::move(authority_pem)), address_(std::move(manager)), own_(std::move(own)) {
  grpc::ChannelArguments arguments;
  // Devices of one test do not share a connection, as those of several machines do not.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  stub_ = v1::OffloadManager::NewStub(
      grpc::CreateCustomChannel(address_,
                                grpc::SslCredentials({.pem_root_certs = authority_,
                                                      .pem_private_key = own_.key_pem,
                                                      .pem_cert_chain = own_.certificate_pem}),
                                arguments));
}

Digest ClusterDevice::key() const {
  return identity::public_key_digest(own_.certificate_pem).value();
}

Result<v1::Session> ClusterDevice::open(const std::vector<const ModuleFile*>& modules,
                                        const Wanted& wanted) const {
  v1::OpenSessionRequest request;
  for (const ModuleFile* const module : modules) {
    auto* const reference = request.add_modules();
    reference->set_name(module->manifest.module);
    reference->set_digest(module->digest);
  }
  request.mutable_resources()->set_memory_bytes(wanted.memory_bytes);
  request.mutable_resources()->set_cpu_millicores(wanted.cpu_millicores);
  const Digest own = key();
  request.set_client_key_sha256(own.bytes.data(), own.bytes.size());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + wanted.limit);
  v1::Session session;
  const auto status = stub_->OpenSession(&context, request, &session);
  if (!status.ok()) return std::unexpected(error_of(status));
  return session;
}

Result<v1::Session> ClusterDevice::renew(const std::string& session) const {
  v1::RenewSessionRequest request;
  request.set_id(session);
  v1::Session renewed;
  const auto status = ask(&Stub::RenewSession, request, renewed);
  if (!status.ok()) return std::unexpected(error_of(status));
  return renewed;
}

grpc::Status ClusterDevice::close(const std::string& session) const {
  v1::CloseSessionRequest request;
  request.set_id(session);
  v1::CloseSessionResponse response;
  return ask(&Stub::CloseSession, request, response);
}

std::unique_ptr<RawUe> ClusterDevice::connect(const v1::Placement& placement) const {
  return connect(placement.address(),
                 host::testing::hello_with_ticket(std::as_bytes(std::span(placement.ticket()))));
}

std::unique_ptr<RawUe> ClusterDevice::connect(const std::string& address,
                                              std::vector<std::byte> hello) const {
  channel::EndpointOptions link;
  link.hello = std::move(hello);
  link.tls =
      channel::TlsContext::client_of(
          {.certificate = own_.certificate_pem, .key = own_.key_pem, .authority = authority_})
          .value();
  return std::make_unique<RawUe>(net::Address::parse(address).value(), std::move(link));
}

// --- the cluster -----------------------------------------------------------------------

Result<std::unique_ptr<LocalCluster>> LocalCluster::start(const std::filesystem::path& folder,
                                                          LocalClusterOptions options) {
  std::unique_ptr<LocalCluster> cluster(new LocalCluster(folder));
  if (auto started = cluster->start(options); !started) {
    return fail(started.error().code, started.error().message + "\n" + cluster->transcript());
  }
  return cluster;
}

Result<void> LocalCluster::start(const LocalClusterOptions& options) {
  for (auto arguments :
       {std::vector<std::string>{"cluster", "init", "--name", "test", keys()},
        {"cluster", "issue", "--role", "host", "--name", "h1", "--hosts", "127.0.0.1", keys()}}) {
    if (auto made = aloft(std::move(arguments)); !made) return std::unexpected(made.error());
  }
  if (auto made = aloft({"module", "keygen", keys() / "publisher"}); !made)
    return std::unexpected(made.error());
  write_file(keys() / "tenants.toml", std::as_bytes(std::span(options.tenants)));
  authority_ = read_text(keys() / "ca.pem");
  auto issuer = identity::Authority::load(keys());
  if (!issuer) return std::unexpected(issuer.error());
  issuer_ = *std::move(issuer);
  for (const auto& module : options.modules) {
    if (auto pushed = push(module); !pushed) return pushed;
  }

  const auto run = [](std::vector<std::string> command, const std::vector<std::string>& more,
                      std::string_view ready,
                      std::optional<Process>& process) -> Result<std::string> {
    command.insert(command.end(), more.begin(), more.end());
    auto started = Process::start(std::move(command));
    if (!started) return std::unexpected(started.error());
    process.emplace(*std::move(started));
    auto line = process->wait_for_line(ready, kStartLimit);
    if (!line) return fail(Errc::internal, "it is not ready in time");
    return *std::move(line);
  };
  const auto listening = run({program("aloft-manager"), "--listen", "127.0.0.1:0", "--credentials",
                              keys(), "--store-data", folder_ / "state.db"},
                             options.manager_arguments, "listening on port ", manager_);
  if (!listening) return std::unexpected(listening.error());
  manager_address_ = "127.0.0.1:" + last_word(*listening);
  const auto registered =
      run({program("aloft-host"), "--managers", manager_address_, "--credentials", keys(), "--id",
           "h1", "--repository", repository(), "--state", host_state(), "--drain-limit", "0s",
           // What is promised is not to depend on how many processors this machine has.
           "--capacity-cpu-millicores", "1000000", "--capacity-memory", "1TiB"},
          options.host_arguments, "registered", host_);
  if (!registered) return std::unexpected(registered.error());
  return {};
}

LocalCluster::~LocalCluster() {
  for (auto* const process : {&host_, &manager_}) {
    if (!*process) continue;
    (*process)->signal(SIGTERM);
    (void)(*process)->wait(15s);
  }
}

ClusterDevice LocalCluster::device(const std::string& tenant) const {
  auto issued = issuer_->issue({.identity = {"test", identity::Role::tenant, tenant}, .hosts = {}});
  if (!issued) {
    std::fprintf(stderr, "test support: %s\n", issued.error().message.c_str());
    std::abort();
  }
  return {manager_address_, authority_, *std::move(issued)};
}

Result<std::string> LocalCluster::aloft(std::vector<std::string> arguments) const {
  Ran ran = run_aloft(std::move(arguments));
  if (ran.status != 0) return fail(Errc::internal, ran.output + ran.error);
  return std::move(ran.output);
}

Result<void> LocalCluster::push(const std::filesystem::path& module,
                                std::vector<std::string> more) const {
  std::vector<std::string> arguments{"module", "push", "--repository", repository(), module};
  arguments.insert(arguments.end(), more.begin(), more.end());
  auto pushed = aloft(std::move(arguments));
  if (!pushed) return std::unexpected(pushed.error());
  return {};
}

std::string LocalCluster::transcript() const {
  std::string said;
  for (const auto* const process : {&manager_, &host_}) {
    if (*process) said += (*process)->transcript();
  }
  return said;
}

}  // namespace aloft::testing
