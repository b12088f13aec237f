#include "cluster/host_clients.h"

#include <utility>

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include "rpc/status.h"
#include "rpc/trace_metadata.h"

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

HostClients::HostClients(rpc::ClientCredentialsSource credentials, HostCallLimits limits)
    : credentials_(std::move(credentials)), limits_(limits) {}

HostClients::~HostClients() {
  std::unique_lock lock(mutex_);
  for (const auto& release : releasing_) release->context.TryCancel();
  released_.wait(lock, [&] { return releasing_.empty(); });
}

HostClients::Client HostClients::client(const std::string& host, const std::string& address) {
  const auto credentials = credentials_();
  const std::scoped_lock lock(mutex_);
  Client& client = clients_[host];
  if (client.address != address || !client.stub || client.credentials != credentials.version) {
    grpc::ChannelArguments arguments;
    // A host whose machine is gone is noticed on a connection that was open.
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 5000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 2000);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    client.address = address;
    client.credentials = credentials.version;
    client.channel = grpc::CreateCustomChannel(address, credentials.credentials, arguments);
    client.stub = v1::HostOffloadHandler::NewStub(client.channel);
  }
  return client;
}

void HostClients::did_not_answer(const std::string& host, const std::string& tenant) {
  const std::scoped_lock lock(mutex_);
  silent_[{host, tenant}] = std::chrono::steady_clock::now() + limits_.silent;
}

template <class Request, class Response>
Result<Response> HostClients::ask(const std::string& host, const std::string& address,
                                  Method<Request, Response> method, const Request& request,
                                  const ops::Trace& trace) {
  const Client at = client(host, address);
  const auto now = std::chrono::system_clock::now;
  if (!at.channel->WaitForConnected(now() + limits_.connect)) {
    did_not_answer(host, {});
    return fail(Errc::unreachable, "host " + host + " cannot be reached at " + address);
  }
  grpc::ClientContext context;
  context.set_deadline(now() + limits_.prepare);
  rpc::pass_on(trace, context);
  Response response;
  const grpc::Status status = (at.stub.get()->*method)(&context, request, &response);
  if (status.ok()) return response;
  Error error = rpc::to_error(status);
  if (error.code == Errc::unreachable) did_not_answer(host, {});
  if (error.code == Errc::deadline_exceeded) did_not_answer(host, request.tenant());
  return fail(error.code, "host " + host + ": " + error.message);
}

Result<v1::PrepareResponse> HostClients::prepare(const std::string& host,
                                                 const std::string& address,
                                                 const v1::PrepareRequest& request,
                                                 const ops::Trace& trace) {
  auto response = ask(host, address, &v1::HostOffloadHandler::Stub::Prepare, request, trace);
  if (response && (response->address().empty() || response->boot_id().empty())) {
    return fail(Errc::internal, "host " + host + " answered without an address");
  }
  return response;
}

Result<v1::InspectModuleResponse> HostClients::inspect(const std::string& host,
                                                       const std::string& address,
                                                       const v1::InspectModuleRequest& request) {
  return ask(host, address, &v1::HostOffloadHandler::Stub::InspectModule, request);
}

void HostClients::release(const std::string& host, const std::string& address,
                          v1::ReleaseRequest request) {
  const Client at = client(host, address);
  auto call = std::make_shared<Release>();
  call->request = std::move(request);
  call->stub = at.stub;
  call->context.set_deadline(std::chrono::system_clock::now() + limits_.release);
  {
    const std::scoped_lock lock(mutex_);
    if (releasing_.size() >= kMaxReleasing) return;
    releasing_.insert(call);
  }
  call->stub->async()->Release(&call->context, &call->request, &call->response,
                               [this, call](const grpc::Status&) {
                                 const std::scoped_lock lock(mutex_);
                                 releasing_.erase(call);
                                 released_.notify_all();
                               });
}

std::vector<std::string> HostClients::silent(const std::string& tenant) {
  const auto now = std::chrono::steady_clock::now();
  const std::scoped_lock lock(mutex_);
  std::erase_if(silent_, [&](const auto& entry) { return entry.second <= now; });
  std::vector<std::string> hosts;
  hosts.reserve(silent_.size());
  for (const auto& [whom, until] : silent_) {
    if (whom.second.empty() || whom.second == tenant) hosts.push_back(whom.first);
  }
  return hosts;
}

void HostClients::forget(const std::string& host) {
  const std::scoped_lock lock(mutex_);
  clients_.erase(host);
  std::erase_if(silent_, [&](const auto& entry) { return entry.first.first == host; });
}

}  // namespace aloft::cluster
