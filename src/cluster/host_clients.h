// A manager's calls to the Host Offload Handlers of its hosts. A host that does not answer costs
// one open a bounded time, and is passed over for a while after: by everybody when it cannot be
// reached, by the tenant whose request took too long otherwise. What a tenant asks for, such as a
// module that compiles for ever, is no word on the host.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <grpcpp/channel.h>

#include "aloft/v1/host.grpc.pb.h"
#include "ops/trace.h"
#include "rpc/certificates.h"
#include <aloft/result.h>

namespace aloft::cluster {

struct HostCallLimits {
  std::chrono::milliseconds connect{1000};
  std::chrono::milliseconds prepare{10'000};  // a module may have to be fetched and compiled
  std::chrono::milliseconds release{30'000};  // from then on it is up to the host
  std::chrono::milliseconds silent{2000};     // how long one that did not answer is passed over
};

// Thread rule: any thread.
class HostClients {
 public:
  HostClients(rpc::ClientCredentialsSource credentials, HostCallLimits limits);
  ~HostClients();  // cancels what is under way, and waits for it
  HostClients(const HostClients&) = delete;
  HostClients& operator=(const HostClients&) = delete;

  // Waits for the answer. Errors: unreachable, deadline_exceeded, overloaded, internal: another
  // host may do; all others: what was asked for cannot be had anywhere.
  [[nodiscard]] Result<v1::PrepareResponse> prepare(const std::string& host,
                                                    const std::string& address,
                                                    const v1::PrepareRequest& request,
                                                    const ops::Trace& trace = {});
  // The same.
  [[nodiscard]] Result<v1::InspectModuleResponse> inspect(const std::string& host,
                                                          const std::string& address,
                                                          const v1::InspectModuleRequest& request);
  // Does not wait, and does not insist: a host ends what is not renewed by itself.
  void release(const std::string& host, const std::string& address, v1::ReleaseRequest request);
  // Hosts that did not answer a moment ago: anybody, or this tenant.
  [[nodiscard]] std::vector<std::string> silent(const std::string& tenant);
  // The host is gone: its connection, too.
  void forget(const std::string& host);

 private:
  struct Client {
    std::string address;
    std::uint64_t credentials = 0;  // their version
    std::shared_ptr<grpc::Channel> channel;
    std::shared_ptr<v1::HostOffloadHandler::Stub> stub;
  };
  struct Release;
  [[nodiscard]] Client client(const std::string& host, const std::string& address);
  // `tenant`: whose request it was; empty: it cannot be reached.
  void did_not_answer(const std::string& host, const std::string& tenant);
  template <class Request, class Response>
  using Method = grpc::Status (v1::HostOffloadHandler::Stub::*)(grpc::ClientContext*,
                                                                const Request&, Response*);
  template <class Request, class Response>
  [[nodiscard]] Result<Response> ask(const std::string& host, const std::string& address,
                                     Method<Request, Response> method, const Request& request,
                                     const ops::Trace& trace = {});

  const rpc::ClientCredentialsSource credentials_;
  const HostCallLimits limits_;
  std::mutex mutex_;
  std::condition_variable released_;
  std::map<std::string, Client> clients_;  // by host
  std::map<std::pair<std::string, std::string>, std::chrono::steady_clock::time_point>
      silent_;  // by host and tenant
  std::set<std::shared_ptr<Release>> releasing_;
};

// Whether another host may do better after this.
[[nodiscard]] bool another_may_do(Errc code);

}  // namespace aloft::cluster
