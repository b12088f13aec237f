#include "etcd.h"

#include <system_error>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <errno.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "etcd/rpc.grpc.pb.h"
#include "test_paths.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// A port that nobody uses at the moment. Etcd cannot be asked to choose one: the members must know
// each other's.
class FreePort {
 public:
  FreePort() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0)
      number_ = ntohs(address.sin_port);
  }
  FreePort(const FreePort&) = delete;
  FreePort& operator=(const FreePort&) = delete;
  ~FreePort() { ::close(fd_); }
  [[nodiscard]] std::uint16_t number() const { return number_; }

 private:
  int fd_;
  std::uint16_t number_ = 0;
};

// As the registry of ports has them, where a member has an address of its own.
constexpr std::uint16_t kClientPort = 2379;
constexpr std::uint16_t kPeerPort = 2380;

std::string url(const char* scheme, const std::string& address, std::uint16_t port) {
  return std::string(scheme) + "://" + address + ":" + std::to_string(port);
}

// An answer of one member by itself.
std::optional<etcdserverpb::StatusResponse> status_of(const std::string& endpoint) {
  const auto stub = etcdserverpb::Maintenance::NewStub(
      grpc::CreateChannel(endpoint, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 1s);
  etcdserverpb::StatusResponse response;
  if (!stub->Status(&context, {}, &response).ok()) return std::nullopt;
  return response;
}

}  // namespace

Result<EtcdCluster> EtcdCluster::start(const std::filesystem::path& folder,
                                       EtcdClusterOptions options) {
  EtcdCluster cluster;
  const std::size_t count = options.places.empty() ? options.members : options.places.size();
  cluster.members_.resize(count);
  for (std::size_t i = 0; i < options.places.size(); ++i) {
    cluster.members_[i].address = options.places[i].address;
    cluster.members_[i].client_port = kClientPort;
    cluster.members_[i].peer_port = kPeerPort;
  }
  if (options.places.empty()) {
    // All at a time, so that no two are the same.
    std::vector<FreePort> ports(2 * count);
    for (std::size_t i = 0; i < count; ++i) {
      cluster.members_[i].client_port = ports[2 * i].number();
      cluster.members_[i].peer_port = ports[2 * i + 1].number();
    }
  }
  std::string initial;
  for (std::size_t i = 0; i < count; ++i) {
    const Member& member = cluster.members_[i];
    initial += (initial.empty() ? "m" : ",m") + std::to_string(i) + "=" +
               url("http", member.address, member.peer_port);
  }
  const bool tls = !options.certificate.empty();
  for (std::size_t i = 0; i < count; ++i) {
    Member& member = cluster.members_[i];
    const std::string name = "m" + std::to_string(i);
    const std::string client_url = url(tls ? "https" : "http", member.address, member.client_port);
    const std::string peer_url = url("http", member.address, member.peer_port);
    member.command = {(servers() / "etcd").string(),
                      "--name=" + name,
                      "--data-dir=" + (folder / name).string(),
                      "--listen-client-urls=" + client_url,
                      "--advertise-client-urls=" + client_url,
                      "--listen-peer-urls=" + peer_url,
                      "--initial-advertise-peer-urls=" + peer_url,
                      "--initial-cluster=" + initial,
                      "--pre-vote=true",
                      "--logger=zap",
                      "--log-outputs=stderr",
                      "--log-level=warn"};
    if (options.quota_bytes != 0)
      member.command.push_back("--quota-backend-bytes=" + std::to_string(options.quota_bytes));
    if (tls) {
      member.command.push_back("--cert-file=" + options.certificate.string());
      member.command.push_back("--key-file=" + options.key.string());
      member.command.push_back("--trusted-ca-file=" + options.authority.string());
      member.command.emplace_back("--client-cert-auth=true");
    }
    if (!options.places.empty()) member.command = options.places[i].on(std::move(member.command));
    if (auto started = cluster.restart(i); !started) return std::unexpected(started.error());
  }
  if (tls) return cluster;  // its clients wait by themselves
  if (auto serves = cluster.await_service(); !serves) return std::unexpected(serves.error());
  return cluster;
}

Result<void> EtcdCluster::await_service() {
  if (leader(60s)) return {};
  return fail(Errc::internal, "etcd elects no leader\n" + transcript());
}

std::string EtcdCluster::endpoint(std::size_t member) const {
  return members_[member].address + ":" + std::to_string(members_[member].client_port);
}

std::vector<std::string> EtcdCluster::endpoints() const {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < members_.size(); ++i) all.push_back(endpoint(i));
  return all;
}

void EtcdCluster::kill(std::size_t member) {
  members_[member].process->kill();
  static_cast<void>(members_[member].process->wait(10s));
}

void EtcdCluster::stop(std::size_t member) { members_[member].process->signal(SIGSTOP); }

void EtcdCluster::resume(std::size_t member) { members_[member].process->signal(SIGCONT); }

Result<void> EtcdCluster::restart(std::size_t member) {
  members_[member].process.reset();
  auto process = Process::start(members_[member].command);
  if (!process) return std::unexpected(process.error());
  members_[member].process = std::move(*process);
  return {};
}

std::optional<std::size_t> EtcdCluster::leader(std::chrono::milliseconds limit) const {
  const auto end = Clock::now() + limit;
  do {
    for (std::size_t i = 0; i < members_.size(); ++i) {
      const auto status = status_of(endpoint(i));
      if (status && status->leader() != 0 && status->leader() == status->header().member_id())
        return i;
    }
    std::this_thread::sleep_for(20ms);
  } while (Clock::now() < end);
  return std::nullopt;
}

Result<void> EtcdCluster::compact(std::uint64_t revision) const {
  const auto stub = etcdserverpb::KV::NewStub(
      grpc::CreateChannel(endpoint(0), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 10s);
  etcdserverpb::CompactionRequest request;
  request.set_revision(static_cast<std::int64_t>(revision));
  etcdserverpb::CompactionResponse response;
  const grpc::Status status = stub->Compact(&context, request, &response);
  if (!status.ok()) return fail(Errc::internal, status.error_message());
  return {};
}

std::string EtcdCluster::transcript() const {
  std::string all;
  for (const Member& member : members_) {
    if (member.process) all += member.process->transcript() + "\n";
  }
  return all;
}

}  // namespace aloft::testing
