// One Offload Manager as the device calls it: gRPC, the credentials of the device, an error that
// says what to do next. Calls block, for as long as they were given, and can be cancelled from
// another thread.
#pragma once

#include <chrono>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "aloft/v1/offload_manager.grpc.pb.h"
#include "ops/trace.h"
#include "rpc/trace_metadata.h"
#include <aloft/cluster.h>
#include <aloft/result.h>

namespace aloft::device {

// Calls under way, so that a thread that waits for one can be told to end. Thread rule: any thread.
class Calls {
 public:
  // Ends those that are under way, and those to come at once.
  void cancel();
  [[nodiscard]] bool cancelled() const;

  // Of one call, while it is under way.
  class Running {
   public:
    Running(Calls& calls, grpc::ClientContext& context);
    ~Running();
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    Calls& calls_;
    grpc::ClientContext& context_;
  };

 private:
  mutable std::mutex mutex_;
  bool cancelled_ = false;
  std::set<grpc::ClientContext*> running_;
};

struct CallFailure {
  enum class Then : std::uint8_t {
    next_manager,  // this one does not answer, or cannot
    later,         // any would say the same now: overloaded
    gone,          // there is no such session any more
    never,         // any would say the same until somebody changes what this device may do
    stopped,       // Calls::cancel()
  };
  Then then = Then::next_manager;
  Error why;
  std::optional<std::chrono::milliseconds> retry_after;
};
[[nodiscard]] CallFailure failure_of(const grpc::Status& status, const grpc::ClientContext& context,
                                     const std::string& manager);

// What the device shows to managers.
struct ManagerCredentials {
  std::shared_ptr<grpc::ChannelCredentials> channel;
  std::string token;  // a bearer's; empty: the certificate says it all
};
[[nodiscard]] ManagerCredentials credentials_of(const ClusterOptions& options);

// Thread rule: any thread.
class ManagerLink {
 public:
  using Stub = v1::OffloadManager::Stub;
  template <class Request, class Response>
  using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&, Response*);

  // Connects when it is first called.
  ManagerLink(std::string address, const ManagerCredentials& credentials);

  template <class Request, class Response>
  [[nodiscard]] std::expected<Response, CallFailure> call(Method<Request, Response> method,
                                                          const Request& request, Calls& calls,
                                                          std::chrono::milliseconds limit,
                                                          const ops::Trace& trace = {}) {
    grpc::ClientContext context;
    prepare(context, limit);
    rpc::pass_on(trace, context);
    const Calls::Running running(calls, context);
    Response response;
    const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
    if (status.ok()) return response;
    return std::unexpected(failure_of(status, context, address_));
  }
  // For a stream: credentials and, if any, a limit.
  void prepare(grpc::ClientContext& context, std::optional<std::chrono::milliseconds> limit) const;
  [[nodiscard]] Stub& stub() { return *stub_; }

  struct Pinged {
    std::string cluster;
    std::chrono::microseconds round_trip{};
  };
  // The shortest of some round trips, once it is connected.
  [[nodiscard]] std::expected<Pinged, CallFailure> ping(Calls& calls,
                                                        std::chrono::milliseconds limit);

  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  const std::string address_;
  const std::string token_;
  const std::unique_ptr<Stub> stub_;
};

using ManagerLinks = std::vector<std::shared_ptr<ManagerLink>>;

}  // namespace aloft::device
