// The members of an etcd cluster as a store reaches them: a connection to each, one of them in use
// until it does not serve, then the next.
//
// A member that has lost the others answers so at once (it is asked to, by the field `hasleader`),
// and one that stays silent is left after a while; either way another one is tried within the
// call's time. What may have been done already is not tried again.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "cluster/etcd_store.h"
#include "etcd/rpc.grpc.pb.h"
#include <aloft/result.h>

namespace aloft::cluster {

struct EtcdMember {
  std::string address;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<etcdserverpb::KV::Stub> kv;
  std::unique_ptr<etcdserverpb::Lease::Stub> lease;
  std::unique_ptr<etcdserverpb::Watch::Stub> watch;
  std::unique_ptr<etcdserverpb::Maintenance::Stub> maintenance;
};

// What was sent and has no answer: may it be sent again?
enum class EtcdRepeat { never, fine };

// Thread rule: any thread.
class EtcdMembers {
 public:
  using Clock = std::chrono::steady_clock;

  // See EtcdStore::open.
  [[nodiscard]] static Result<std::shared_ptr<EtcdMembers>> open(const EtcdOptions& options);

  // The one in use if it is connected, else the next that is, waiting for one until `deadline`.
  // Errors: unreachable.
  [[nodiscard]] Result<EtcdMember*> connected(Clock::time_point deadline);
  // It did not serve: the next call begins with another.
  void leave(const EtcdMember& member);

  // Runs a call at a member, and again at others where that is fine. Errors: unreachable, or what
  // etcd answered; `compacted` is set where it has forgotten a revision.
  using Call = std::function<grpc::Status(EtcdMember&, grpc::ClientContext&)>;
  [[nodiscard]] Result<void> call(EtcdRepeat repeat, const Call& call, bool* compacted = nullptr);

  // What each call must carry.
  static void prepare(grpc::ClientContext& context);

 private:
  EtcdMembers(std::vector<std::unique_ptr<EtcdMember>> members, std::chrono::milliseconds timeout);
  [[nodiscard]] Error nobody_answers() const;

  const std::vector<std::unique_ptr<EtcdMember>> members_;
  const std::chrono::milliseconds timeout_;
  std::atomic<std::size_t> in_use_{0};
};

}  // namespace aloft::cluster
