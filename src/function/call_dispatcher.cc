#include "function/call_dispatcher.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "function/binding.h"
#include "function/call_run.h"
#include "function/elastic_calls.h"
#include "function/module_upgrade.h"
#include "function/tensor_digests.h"

namespace aloft::function {
namespace {

using detail::ElasticCall;
using std::chrono::steady_clock;

constexpr std::chrono::hours kLongest{24 * 365};  // added to a time, it does not overflow

}  // namespace

CallDispatcher::CallDispatcher(DispatchOptions options, const inference::GraphTable& graphs,
                               std::vector<RemoteSession*> sessions, const Log& log)
    : options_(std::move(options)),
      graphs_(graphs),
      sessions_(std::move(sessions)),
      log_(log),
      decisions_(options_.policy, options_.functions, registered_modules(), options_.foresight),
      hedges_(executor_, graphs_, options_.digest_tensors),
      checks_({.executor = &executor_, .hedges = &hedges_, .watch = &watch_, .log = &log_}),
      executor_(options_.local_workers) {
  places_ = EndPlaces::make({.sessions = sessions_,
                             .executor = &executor_,
                             .graphs = &graphs_,
                             .log = &log_,
                             .on_move = {},
                             .on_settled = [this](ElasticCall& call) {
                               call.record_exception();
                               tell_of(call.record);
                               tell(call);
                             }});
}

CallDispatcher::~CallDispatcher() {
  places_->end();
  std::vector<Run*> to_work;
  {
    const std::lock_guard lock(async_mutex_);
    for (Run* const run : async_runs_) {
      if (run->note(Run::News::cancel)) to_work.push_back(run);
    }
  }
  for (Run* const run : to_work) run->work();
  {
    std::unique_lock lock(async_mutex_);
    async_changed_.wait(lock, [&] { return async_calls_ == 0; });
  }
  checks_.end();
  hedges_.end();
}

void CallDispatcher::set_policy(std::shared_ptr<Policy> policy) {
  decisions_.set_policy(std::move(policy));
}

void CallDispatcher::prefer(EdgeIndex edge) {
  decisions_.prefer(edge);
  places_->prefer(edge);
}

void CallDispatcher::set_fallback(const ModuleDescriptor& module, Fallback fallback) {
  for (const FunctionDescriptor& function : module.functions)
    decisions_.known(function).edges_only = fallback == Fallback::none;
}

Result<UpgradeReport> CallDispatcher::upgrade(ModuleToOpen next, const UpgradeOptions& options) {
  const std::lock_guard lock(upgrading_);
  const bool is_served = std::ranges::all_of(sessions_, [&](const RemoteSession* session) {
    return session->module_digest(*next.module) == next.digest;
  });
  if (is_served && !sessions_.empty()) {
    set_fallback(*next.module, options.fallback);
    return UpgradeReport{};
  }
  next.version = ++last_version_;
  auto upgraded = upgrade_module(*places_, next, options.timeout);
  if (upgraded) {
    set_fallback(*next.module, options.fallback);
    log_(LogLevel::info, "the module '" + std::string(next.module->name) + "' is " + next.digest +
                             " at the edges from now on");
  } else {
    log_(LogLevel::warning, upgraded.error().message);
  }
  return upgraded;
}

// --- Deciding
// ----------------------------------------------------------------------------------------------------

CallDispatcher::Decided CallDispatcher::decide(ElasticCall& call, KnownFunction& known) {
  if (call.called_object() != nullptr) {  // its place is no decision
    const Decided decided = decisions_.follow_object(known);
    call.record.number = decided.number;
    call.record.reason = decided.reason;
    return decided;
  }
  const bool loss_pending = std::ranges::any_of(
      sessions_, [](const RemoteSession* session) { return session->loss_pending(); });
  CallDecisions::Call its;
  if (decisions_.foresight() != nullptr) {
    codec::Writer arguments;
    call.encode(arguments);
    its.input_bytes = call.record.input_bytes = arguments.size();
    its.deadline = scope_deadline();
    if (!its.deadline) its.deadline = known.settings.deadline;
  }
  const Decided decided = decisions_.decide(
      known, forced_location(), ready_edges(*call.function().module), loss_pending, its);
  if (decided.no_takeover) {
    for (RemoteSession* const session : sessions_) (void)session->take_loss();
  }
  call.record.number = decided.number;
  call.record.reason = decided.reason;
  if (log_.wants(LogLevel::debug)) {
    const std::string place =
        decided.edge ? "edge " + std::to_string(*decided.edge) : std::string("here");
    log_(LogLevel::debug, std::string(call.record.function) + ", call " +
                              std::to_string(decided.number) + ": " + place + " (" +
                              decided.reason.text() + ")");
  }
  return decided;
}

EdgeSet CallDispatcher::ready_edges(const ModuleDescriptor& module) const {
  EdgeSet ready = 0;
  for (std::size_t i = 0; i < sessions_.size(); ++i) {
    if (sessions_[i]->is_open(module)) ready |= EdgeSet{1} << i;
  }
  return ready;
}

bool CallDispatcher::has_deadline(const KnownFunction& known) {
  return known.settings.deadline || scope_deadline();
}

CallPlan::Rules CallDispatcher::rules(const KnownFunction& known, TimePoint start) const {
  CallPlan::Rules rules;
  rules.repeat = known.function->once ? Repeat::never : Repeat::allowed;
  rules.fallback = known.edges_only ? Fallback::none : known.settings.fallback;
  rules.edge_limit = options_.call_timeout;
  if (rules.fallback == Fallback::here) rules.hedge = known.settings.hedge;
  const auto scope = scope_deadline();
  if (const auto deadline = scope ? scope : known.settings.deadline)
    rules.deadline = start + std::min<std::chrono::nanoseconds>(*deadline, kLongest);
  return rules;
}

CallPlan::Rules CallDispatcher::rules(const KnownFunction& known, TimePoint start,
                                      const Decided& decided) const {
  CallPlan::Rules rules = this->rules(known, start);
  const bool may_run_twice = rules.repeat == Repeat::allowed && rules.fallback == Fallback::here &&
                             known.function->run_encoded != nullptr;
  if (decided.hedge && may_run_twice)
    rules.hedge = std::min<CallPlan::Duration>(rules.hedge.value_or(kLongest), *decided.hedge);
  return rules;
}

// --- Here
// --------------------------------------------------------------------------------------------------------

void CallDispatcher::note_takeover(CallRecord& record) {
  for (RemoteSession* const session : sessions_) {
    if (!session->loss_pending()) continue;
    if (const auto last_heard = session->take_loss())
      record.takeover = steady_clock::now() - *last_heard;
  }
}

void CallDispatcher::run_here(ElasticCall& call, bool instead_of_edge, std::stop_token stop) {
  if (instead_of_edge) note_takeover(call.record);
  TensorDigests digests(call.record.tensor_digests);
  const inference::GraphScope graphs(graphs_, options_.digest_tensors ? &digests : nullptr,
                                     std::move(stop));
  const InPlaceScope in_place;
  if (!timed()) return call.run_native();
  const TimePoint began = steady_clock::now();
  call.run_native();
  call.record.here_run = steady_clock::now() - began;
}

// --- Calls
// -------------------------------------------------------------------------------------------------------

void CallDispatcher::finish(ElasticCall& call, TimePoint start) {
  call.record_exception();
  call.record.latency = steady_clock::now() - start;
  tell_of(call.record);
}

void CallDispatcher::tell_of(const CallRecord& record) const {
  Foresight* const foresight = decisions_.foresight();
  if (foresight != nullptr && record.reason.code() != ReasonCode::with_object)
    foresight->ended(record);
  if (options_.timeline != nullptr) options_.timeline->ended(record);
  if (options_.on_call) options_.on_call(record);
}

void CallDispatcher::run(ElasticCall& call) {
  KnownFunction& known = decisions_.known(call.function());
  // Nobody sees how long a call took that is told to nobody.
  const bool timed = this->timed();
  TimePoint start = timed ? steady_clock::now() : TimePoint{};
  const Decided decided = decide(call, known);
  if (run_at_end(call, known, decided)) {
    // Its record is complete but for what it threw.
    call.record_exception();
    tell_of(call.record);
    return;
  }
  if (!decided.edge && !has_deadline(known)) {
    run_here(call, decided.instead_of_edge, std::stop_token());
  } else {
    if (!timed) start = steady_clock::now();
    Run run(*this, call, Run::Form::waited, rules(known, start, decided), start);
    run.carry_out(decided);
  }
  if (timed) finish(call, start);
}

void CallDispatcher::start(ElasticCall& call) {
  const TimePoint start = steady_clock::now();
  KnownFunction& known = decisions_.known(call.function());
  const Decided decided = decide(call, known);
  if (start_at_end(call, known, decided)) return;
  auto owned =
      std::make_unique<Run>(*this, call, Run::Form::future, rules(known, start, decided), start);
  Run& run = *owned;
  call.attachment = std::move(owned);
  if (count_async(call, &run)) return run.begin(decided);
  finish(call, start);
  call.completion().finish();
}

bool CallDispatcher::count_async(ElasticCall& call, Run* run) {
  const std::lock_guard lock(async_mutex_);
  if (async_calls_ >= options_.max_calls) {
    call.set_error({Errc::overloaded, "there are " + std::to_string(options_.max_calls) +
                                          " asynchronous calls that have not ended"});
    return false;
  }
  ++async_calls_;
  if (run != nullptr) async_runs_.push_back(run);
  return true;
}

void CallDispatcher::end(ElasticCall& call, TimePoint start, const Run* run) {
  finish(call, start);
  {
    const std::lock_guard lock(async_mutex_);
    std::erase(async_runs_, run);
  }
  tell(call);
}

void CallDispatcher::tell(ElasticCall& call) {
  // The owner may destroy the call, and with it the run, from here on; and this dispatcher as soon
  // as it is counted.
  if (detail::Task* const next = call.completion().end()) executor_.post_first(*next);
  // Its waiter may be reading a link meanwhile.
  if (lenders_.load(std::memory_order_seq_cst) > 0) {
    for (RemoteSession* const session : sessions_) session->nudge();
  }
  const std::lock_guard lock(async_mutex_);
  --async_calls_;
  async_changed_.notify_all();
}

bool CallDispatcher::lend(ElasticCall& call) {
  auto* const run = dynamic_cast<Run*>(call.attachment.get());
  return run != nullptr && run->lend(*this);
}

void CallDispatcher::cancel(ElasticCall& call) {
  ElasticCalls::cancel(call);  // nothing, if no end carries it
  Run* run = nullptr;
  {
    const std::lock_guard lock(async_mutex_);
    const auto found = std::ranges::find(async_runs_, &call, [](const Run* r) { return &r->call; });
    if (found == async_runs_.end() || !(*found)->note(Run::News::cancel)) return;
    run = *found;
  }
  run->work();
}

}  // namespace aloft::function
