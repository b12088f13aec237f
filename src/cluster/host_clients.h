// A manager's calls to the Host Offload Handlers of its hosts. A host that does not answer costs
// one open a bounded time, and is passed over for a while after.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>

#include "aloft/v1/host.grpc.pb.h"
#include <aloft/result.h>

namespace aloft::cluster {

struct HostCallLimits {
  std::chrono::milliseconds connect{1000};
  std::chrono::milliseconds prepare{10'000};  // a module may have to be fetched and compiled
  std::chrono::milliseconds release{3000};
  std::chrono::milliseconds silent{2000};  // how long one that did not answer is passed over
};

// Thread rule: any thread.
class HostClients {
 public:
  HostClients(std::shared_ptr<grpc::ChannelCredentials> credentials, HostCallLimits limits);
  ~HostClients();  // cancels what is under way, and waits for it
  HostClients(const HostClients&) = delete;
  HostClients& operator=(const HostClients&) = delete;

  // Waits for the answer. Errors: unreachable, deadline_exceeded, overloaded, internal: another
  // host may do; all others: what was asked for cannot be had anywhere.
  [[nodiscard]] Result<v1::PrepareResponse> prepare(const std::string& host,
                                                    const std::string& address,
                                                    const v1::PrepareRequest& request);
  // Does not wait, and does not insist: a host ends what is not renewed by itself.
  void release(const std::string& host, const std::string& address, v1::ReleaseRequest request);
  // Hosts that did not answer a moment ago.
  [[nodiscard]] std::vector<std::string> silent();
  // The host is gone: its connection, too.
  void forget(const std::string& host);

 private:
  struct Client {
    std::string address;
    std::shared_ptr<grpc::Channel> channel;
    std::shared_ptr<v1::HostOffloadHandler::Stub> stub;
  };
  struct Release;
  [[nodiscard]] Client client(const std::string& host, const std::string& address);
  void did_not_answer(const std::string& host);

  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  const HostCallLimits limits_;
  std::mutex mutex_;
  std::condition_variable released_;
  std::map<std::string, Client> clients_;  // by host
  std::map<std::string, std::chrono::steady_clock::time_point> silent_;
  std::size_t releasing_ = 0;
};

// Whether another host may do better after this.
[[nodiscard]] bool another_may_do(Errc code);

}  // namespace aloft::cluster
