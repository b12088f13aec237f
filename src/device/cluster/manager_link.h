// One Offload Manager as the device calls it: gRPC, the credentials of the device, an error that
// says what to do next. Calls block, for as long as they were given, and can be cancelled from
// another thread.
//
// A channel of gRPC's that has failed connects again only while a call is under way or, without
// one, every few seconds, which is too seldom for a handshake to get anywhere; and a call that
// meets it in this state fails at once. So what has failed is left, and the next call has a channel
// of its own, which it waits for.
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
    const std::shared_ptr<Stub> used = stub();
    const grpc::Status status = (used.get()->*method)(&context, request, &response);
    if (status.ok()) return response;
    CallFailure failure = failure_of(status, context, address_);
    if (failure.then == CallFailure::Then::next_manager) leave(used);
    return std::unexpected(std::move(failure));
  }
  // For a stream: credentials and, if any, a limit.
  void prepare(grpc::ClientContext& context, std::optional<std::chrono::milliseconds> limit) const;
  // On the channel that is in use.
  [[nodiscard]] std::shared_ptr<Stub> stub();
  // Its manager did not answer. It goes when nothing is under way on it.
  void leave(const std::shared_ptr<Stub>& stub);

  struct Pinged {
    std::string cluster;
    std::chrono::microseconds round_trip{};
  };
  // The shortest of so many round trips, once it is connected.
  [[nodiscard]] std::expected<Pinged, CallFailure> ping(Calls& calls,
                                                        std::chrono::milliseconds limit,
                                                        int round_trips);

  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  const std::string address_;
  const ManagerCredentials credentials_;
  std::mutex mutex_;
  std::shared_ptr<Stub> stub_;  // null: to be made
};

using ManagerLinks = std::vector<std::shared_ptr<ManagerLink>>;

}  // namespace aloft::device
