// Elastic functions at run time: decides for each call where it runs, runs it there, and makes good
// here what the edge could not do.
//
// A call that the edge fails (lost, late, overloaded, refused) is run again here: elastic functions
// are pure. One that trapped there is not, since it would trap here as well: its caller is told.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <unordered_map>
#include <vector>

#include "function/call_watch.h"
#include "function/here_executor.h"
#include "function/log.h"
#include "function/remote_session.h"
#include "inference/graph_table.h"
#include <aloft/detail/elastic_call.h>
#include <aloft/policy.h>
#include <aloft/runtime.h>

namespace aloft::function {

struct DispatchOptions {
  std::shared_ptr<Policy> policy;  // not null
  std::chrono::milliseconds call_timeout{5000};
  int local_workers = 1;
  bool digest_tensors = false;
  std::function<void(const CallRecord&)> on_call;
};

// Thread rule: any thread.
class CallDispatcher final : public detail::Dispatcher {
 public:
  // `session` may be null: no edge. All are borrowed.
  CallDispatcher(DispatchOptions options, const inference::GraphTable& graphs,
                 RemoteSession* session, const Log& log);
  // Must not be bound any more. Ends asynchronous calls with `cancelled`, and waits for them.
  ~CallDispatcher() override;

  void set_policy(std::shared_ptr<Policy> policy);  // not null

  void run(detail::ElasticCall& call) override;
  void start(detail::ElasticCall& call) override;
  void cancel(detail::ElasticCall& call) override;

 private:
  class AsyncRun;
  using TimePoint = std::chrono::steady_clock::time_point;

  struct Decided {
    Place place = Place::here;
    bool instead_of_edge = false;  // here only because the edge was just lost
  };

  // Numbers the call and sets its reason.
  Decided decide(detail::ElasticCall& call);
  [[nodiscard]] RemoteRequest request(const detail::ElasticCall& call, codec::Writer& arguments,
                                      TimePoint deadline) const;
  // Why these arguments cannot go to the edge, if they cannot.
  [[nodiscard]] std::optional<Error> unsendable(const codec::Writer& arguments) const;
  [[nodiscard]] Error late() const;
  // Sends it and waits. False: it has to run here, and its record says why.
  [[nodiscard]] bool ran_at_edge(detail::ElasticCall& call);
  // Takes what came from the edge over into the call. Answers why it has to run here, if it has to.
  std::optional<Error> take_reply(detail::ElasticCall& call, RemoteReply& reply);
  void fall_back(detail::ElasticCall& call, Error why, bool edge_lost);
  void run_here(detail::ElasticCall& call, bool instead_of_edge, std::stop_token stop);
  // Completes the record and tells the application.
  void finish(detail::ElasticCall& call, TimePoint start);

  // Asynchronous calls.
  void settle(AsyncRun& run);
  void run_async_here(AsyncRun& run);
  void post_here(AsyncRun& run);  // under the lock
  void end(AsyncRun& run);
  // Under the lock; true: the caller has to end it once the lock is released.
  [[nodiscard]] bool cancel_locked(AsyncRun& run);

  const DispatchOptions options_;
  const inference::GraphTable& graphs_;
  RemoteSession* const session_;
  const Log& log_;

  std::mutex decision_mutex_;
  std::shared_ptr<Policy> policy_;
  std::uint64_t next_number_ = 0;
  std::unordered_map<const FunctionDescriptor*, std::uint64_t> calls_of_;

  std::mutex async_mutex_;  // taken before the session's
  std::condition_variable async_changed_;
  std::vector<AsyncRun*> async_runs_;  // until they end

  HereExecutor executor_;  // last: their threads use the rest
  CallWatch watch_;
};

}  // namespace aloft::function
