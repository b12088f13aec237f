// Elastic functions at run time: decides for each call where it runs, and carries out its plan
// (call_plan.h), which says what is done when that place fails, is late or is given up.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <vector>

#include "function/call_decisions.h"
#include "function/call_hedges.h"
#include "function/call_plan.h"
#include "function/call_timeline.h"
#include "function/call_watch.h"
#include "function/elastic_calls.h"
#include "function/elastic_places.h"
#include "function/foresight.h"
#include "function/here_executor.h"
#include "function/image_checks.h"
#include "function/log.h"
#include "function/remote_session.h"
#include "inference/graph_table.h"
#include <aloft/detail/elastic_call.h>
#include <aloft/policy.h>
#include <aloft/runtime.h>

namespace aloft::function {

struct DispatchOptions {
  std::shared_ptr<Policy> policy;  // not null
  SettingsByName functions;
  std::chrono::milliseconds call_timeout{5000};
  int local_workers = 1;
  std::size_t max_calls = 1024;
  bool digest_tensors = false;
  std::function<void(const CallRecord&)> on_call;
  Foresight* foresight = nullptr;    // borrowed; null: no policy is told forecasts
  CallTimeline* timeline = nullptr;  // borrowed; null: nobody asks when calls were
};

// Thread rule: any thread.
class CallDispatcher final : public detail::Dispatcher {
 public:
  // `sessions`: edge n is the nth, at most kMaxEdges. All are borrowed.
  CallDispatcher(DispatchOptions options, const inference::GraphTable& graphs,
                 std::vector<RemoteSession*> sessions, const Log& log);
  // Must not be bound any more. Ends asynchronous calls with `cancelled`, and waits for them.
  ~CallDispatcher() override;

  void set_policy(std::shared_ptr<Policy> policy);  // not null
  // All edges are places of one session, which is at this one now: calls, and ends that are moved
  // to any edge, go there.
  void prefer(EdgeIndex edge);
  // Moves the ends that were moved to an edge, and are elsewhere, to the preferred one; waits until
  // each is there or cannot be moved.
  void bring_ends() { places_->bring_ends(); }
  // Of ends with a state: into this process. For when calls are no longer dispatched.
  void bring_home() { places_->bring_home(); }
  // Fallback::here: what the settings of each function say.
  void set_fallback(const ModuleDescriptor& module, Fallback fallback);
  // As Runtime::upgrade(); gives `next` its version. One at a time.
  [[nodiscard]] Result<UpgradeReport> upgrade(ModuleToOpen next, const UpgradeOptions& options);
  [[nodiscard]] std::vector<DecisionRecord> recent_decisions() const { return decisions_.recent(); }

  void run(detail::ElasticCall& call) override;
  void start(detail::ElasticCall& call) override;
  void cancel(detail::ElasticCall& call) override;
  [[nodiscard]] bool lend(detail::ElasticCall& call) override;
  [[nodiscard]] std::shared_ptr<EndPlaces> end_places() override { return places_; }

 private:
  class Run;  // call_run.h
  using TimePoint = std::chrono::steady_clock::time_point;
  using Decided = CallDecisions::Decided;

  // Numbers the call and sets its reason.
  [[nodiscard]] Decided decide(detail::ElasticCall& call, KnownFunction& known);
  [[nodiscard]] CallPlan::Rules rules(const KnownFunction& known, TimePoint start) const;
  // The same, with what the decision asks for.
  [[nodiscard]] CallPlan::Rules rules(const KnownFunction& known, TimePoint start,
                                      const Decided& decided) const;
  [[nodiscard]] EdgeSet ready_edges(const ModuleDescriptor& module) const;
  // `instead_of_edge`: it takes the place of an edge that failed.
  void run_here(detail::ElasticCall& call, bool instead_of_edge, std::stop_token stop);
  // A run begins that takes the place of an edge's.
  void note_takeover(CallRecord& record);
  // Completes the record and tells the application, and whoever learns from it.
  void finish(detail::ElasticCall& call, TimePoint start);
  // Tells whoever learns from it, and the application.
  void tell_of(const CallRecord& record) const;
  // Somebody is told how long a call takes.
  [[nodiscard]] bool timed() const {
    return options_.on_call != nullptr || options_.timeline != nullptr ||
           decisions_.foresight() != nullptr;
  }
  // Tells the end of an asynchronous call, which may be gone after it.
  void end(detail::ElasticCall& call, TimePoint start, const Run* run);
  // Counts an asynchronous call (`run` may be null). False: there are too many, as it is told.
  [[nodiscard]] bool count_async(detail::ElasticCall& call, Run* run);
  // Tells the end of an asynchronous call whose record is complete.
  void tell(detail::ElasticCall& call);

  // Calls that an elastic end carries, in call_dispatcher_ends.cc: methods of objects, and
  // functions with effects at an edge. False: it is none.
  [[nodiscard]] bool run_at_end(detail::ElasticCall& call, const KnownFunction& known,
                                const Decided& decided);
  [[nodiscard]] bool start_at_end(detail::ElasticCall& call, const KnownFunction& known,
                                  const Decided& decided);
  [[nodiscard]] static bool has_deadline(const KnownFunction& known);
  [[nodiscard]] static bool has_terms(const KnownFunction& known);
  [[nodiscard]] EndCallTerms end_terms(const KnownFunction& known) const;

  const DispatchOptions options_;
  const inference::GraphTable& graphs_;
  const std::vector<RemoteSession*> sessions_;
  const Log& log_;
  CallDecisions decisions_;

  std::mutex async_mutex_;  // taken before a run's
  std::condition_variable async_changed_;
  std::vector<Run*> async_runs_;  // until they end
  std::size_t async_calls_ = 0;   // these, and those whose end is being told
  std::atomic<int> lenders_ = 0;  // threads inside lend()

  CallHedges hedges_;
  std::shared_ptr<EndPlaces> places_;
  std::mutex upgrading_;
  ModuleVersion last_version_ = 0;  // of any module; under upgrading_
  ImageChecks checks_;
  HereExecutor executor_;  // last: their threads use the rest
  CallWatch watch_;
};

}  // namespace aloft::function
