#include "cluster/host_clients.h"

#include <utility>

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include "cluster/rpc_status.h"

namespace aloft::cluster {
namespace {

constexpr std::size_t kMaxReleasing = 1024;

}  // namespace

bool another_may_do(Errc code) {
  return code == Errc::unreachable || code == Errc::deadline_exceeded || code == Errc::overloaded ||
         code == Errc::internal || code == Errc::cancelled;
}

struct HostClients::Release {
  grpc::ClientContext context;
  v1::ReleaseRequest request;
  v1::ReleaseResponse response;
  std::shared_ptr<v1::HostOffloadHandler::Stub> stub;
};

HostClients::HostClients(std::shared_ptr<grpc::ChannelCredentials> credentials,
                         HostCallLimits limits)
    : credentials_(std::move(credentials)), limits_(limits) {}

HostClients::~HostClients() {
  // Each has a deadline, so this ends.
  std::unique_lock lock(mutex_);
  released_.wait(lock, [&] { return releasing_ == 0; });
}

HostClients::Client HostClients::client(const std::string& host, const std::string& address) {
  const std::scoped_lock lock(mutex_);
  Client& client = clients_[host];
  if (client.address != address || !client.stub) {
    grpc::ChannelArguments arguments;
    // A host whose machine is gone is noticed on a connection that was open.
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 5000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 2000);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    client.address = address;
    client.channel = grpc::CreateCustomChannel(address, credentials_, arguments);
    client.stub = v1::HostOffloadHandler::NewStub(client.channel);
  }
  return client;
}

void HostClients::did_not_answer(const std::string& host) {
  const std::scoped_lock lock(mutex_);
  silent_[host] = std::chrono::steady_clock::now() + limits_.silent;
}

Result<v1::PrepareResponse> HostClients::prepare(const std::string& host,
                                                 const std::string& address,
                                                 const v1::PrepareRequest& request) {
  const Client at = client(host, address);
  const auto now = std::chrono::system_clock::now;
  if (!at.channel->WaitForConnected(now() + limits_.connect)) {
    did_not_answer(host);
    return fail(Errc::unreachable, "host " + host + " cannot be reached at " + address);
  }
  grpc::ClientContext context;
  context.set_deadline(now() + limits_.prepare);
  v1::PrepareResponse response;
  const grpc::Status status = at.stub->Prepare(&context, request, &response);
  if (!status.ok()) {
    Error error = to_error(status);
    if (error.code == Errc::unreachable || error.code == Errc::deadline_exceeded) {
      did_not_answer(host);
    }
    return fail(error.code, "host " + host + ": " + error.message);
  }
  if (response.address().empty() || response.boot_id().empty()) {
    return fail(Errc::internal, "host " + host + " answered without an address");
  }
  return response;
}

void HostClients::release(const std::string& host, const std::string& address,
                          v1::ReleaseRequest request) {
  const Client at = client(host, address);
  {
    const std::scoped_lock lock(mutex_);
    if (releasing_ >= kMaxReleasing) return;
    ++releasing_;
  }
  auto call = std::make_shared<Release>();
  call->request = std::move(request);
  call->stub = at.stub;
  call->context.set_deadline(std::chrono::system_clock::now() + limits_.release);
  call->stub->async()->Release(&call->context, &call->request, &call->response,
                               [this, call](const grpc::Status&) {
                                 const std::scoped_lock lock(mutex_);
                                 --releasing_;
                                 released_.notify_all();
                               });
}

std::vector<std::string> HostClients::silent() {
  const auto now = std::chrono::steady_clock::now();
  const std::scoped_lock lock(mutex_);
  std::erase_if(silent_, [&](const auto& entry) { return entry.second <= now; });
  std::vector<std::string> hosts;
  hosts.reserve(silent_.size());
  for (const auto& [host, until] : silent_) hosts.push_back(host);
  return hosts;
}

void HostClients::forget(const std::string& host) {
  const std::scoped_lock lock(mutex_);
  clients_.erase(host);
  silent_.erase(host);
}

}  // namespace aloft::cluster
