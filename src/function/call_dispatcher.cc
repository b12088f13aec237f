#include "function/call_dispatcher.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include "base/digest.h"
#include "function/binding.h"

namespace aloft::function {
namespace {

using detail::ElasticCall;
using std::chrono::steady_clock;

// A call at the edge that a thread waits for.
class WaitedCall final : public RemoteCall {
 public:
  void on_ended() override {
    over.store(true, std::memory_order_release);
    ended.finish();
  }
  std::atomic<bool> over = false;  // for who assists the link meanwhile; `ended` is what counts
  detail::Completion ended;
};

// Writes the digest of each tensor that a native call hands to the inference engine into its
// record.
class TensorDigests final : public inference::TensorObserver {
 public:
  explicit TensorDigests(CallRecord& record) : record_(record) {}
  void on_input(std::string_view, std::uint32_t, const inference::TensorView& tensor) override {
    record_.tensor_digests.push_back(sha256(tensor.data).hex());
  }

 private:
  CallRecord& record_;
};

std::string name_of(const ElasticCall& call) {
  return std::string(call.record.function) + ", call " + std::to_string(call.record.number);
}

}  // namespace

// An asynchronous call on its way: at the edge, then perhaps in the executor's queue, then perhaps
// running here. Belongs to the call, whose owner keeps it until its completion.
class CallDispatcher::AsyncRun final : public ElasticCall::Attachment,
                                       public RemoteCall,
                                       public HereTask,
                                       public Watched {
 public:
  enum class Phase : std::uint8_t { at_edge, waiting_here, running_here };

  AsyncRun(CallDispatcher& dispatcher, ElasticCall& its_call)
      : call(its_call), dispatcher_(dispatcher) {}

  void on_ended() override { dispatcher_.watch_.post(*this); }
  void on_posted() override { dispatcher_.settle(*this); }
  void on_late() override { dispatcher_.session_->cancel(*this, dispatcher_.late()); }
  void run_here() override { dispatcher_.run_async_here(*this); }

  ElasticCall& call;
  TimePoint start;
  codec::Writer arguments;
  std::stop_source stop;
  bool instead_of_edge = false;
  Phase phase = Phase::at_edge;  // under the dispatcher's lock, as asking `stop` is

 private:
  CallDispatcher& dispatcher_;
};

CallDispatcher::CallDispatcher(DispatchOptions options, const inference::GraphTable& graphs,
                               RemoteSession* session, const Log& log)
    : options_(std::move(options)),
      graphs_(graphs),
      session_(session),
      log_(log),
      policy_(options_.policy),
      executor_(options_.local_workers) {}

CallDispatcher::~CallDispatcher() {
  std::vector<AsyncRun*> to_end;
  {
    const std::lock_guard lock(async_mutex_);
    for (AsyncRun* const run : async_runs_) {
      if (cancel_locked(*run)) to_end.push_back(run);
    }
  }
  for (AsyncRun* const run : to_end) end(*run);
  std::unique_lock lock(async_mutex_);
  async_changed_.wait(lock, [&] { return async_runs_.empty(); });
}

void CallDispatcher::set_policy(std::shared_ptr<Policy> policy) {
  const std::lock_guard lock(decision_mutex_);
  policy_.swap(policy);
}

// --- Deciding
// ----------------------------------------------------------------------------------------------------

CallDispatcher::Decided CallDispatcher::decide(ElasticCall& call) {
  const FunctionDescriptor& function = call.function();
  CallContext context{.function = function.qualified_name,
                      .edge_ready = session_ != nullptr && session_->is_open(*function.module)};
  Decided decided;
  {
    const std::lock_guard lock(decision_mutex_);
    call.record.number = next_number_++;
    context.number = calls_of_[&function]++;
    if (const auto forced = forced_place()) {
      decided.place = *forced;
      call.record.reason = "asked for by the caller";
    } else {
      Decision decision = policy_->decide(context);
      decided.place = decision.place;
      call.record.reason = decision.reason;
      if (decided.place == Place::here && !context.edge_ready && session_ != nullptr &&
          session_->loss_pending()) {
        // A call that would not have gone to the edge anyhow is no takeover, and shows that none
        // was needed.
        context.edge_ready = true;
        decided.instead_of_edge = policy_->decide(context).place == Place::edge;
        if (!decided.instead_of_edge) (void)session_->take_loss();
      }
    }
  }
  if (log_.wants(LogLevel::debug)) {
    log_(LogLevel::debug, name_of(call) + ": " + std::string(to_string(decided.place)) + " (" +
                              std::string(call.record.reason.view()) + ")");
  }
  return decided;
}

// --- At the edge
// -------------------------------------------------------------------------------------------------

RemoteRequest CallDispatcher::request(const ElasticCall& call, codec::Writer& arguments,
                                      TimePoint deadline) const {
  call.encode(arguments);
  return {.function = &call.function(),
          .number = call.record.number,
          .arguments = arguments.segments(),
          .argument_bytes = arguments.size(),
          .deadline = deadline,
          .digest_tensors = options_.digest_tensors};
}

std::optional<Error> CallDispatcher::take_reply(ElasticCall& call, RemoteReply& reply) {
  CallRecord& record = call.record;
  record.tx_bytes = reply.tx_bytes;
  record.rx_bytes = reply.rx_bytes;
  if (!reply.outcome) return std::move(reply.outcome).error();
  if (reply.head.error && reply.head.error->code != Errc::trapped)
    return std::move(reply.head.error);
  if (reply.head.error) {
    std::string line = name_of(call) + ": trapped at the edge: " + reply.head.error->message;
    if (!reply.head.trap_backtrace.empty()) line += "\n" + reply.head.trap_backtrace;
    log_(LogLevel::error, line);
    call.set_error(*std::move(reply.head.error));
  } else if (auto decoded = call.decode({reply.body.get(), reply.body_size}); !decoded) {
    return Error{Errc::protocol, "the edge's result cannot be read: " + decoded.error().message};
  }
  record.place = Place::edge;
  record.edge_run = std::chrono::microseconds(reply.head.run_us);
  record.edge_queue = std::chrono::microseconds(reply.head.queue_us);
  record.edge_inference = std::chrono::microseconds(reply.head.inference_us);
  record.tensor_digests = std::move(reply.head.tensor_digests);
  return std::nullopt;
}

bool CallDispatcher::ran_at_edge(ElasticCall& call) {
  const TimePoint deadline = steady_clock::now() + options_.call_timeout;
  codec::Writer arguments;
  WaitedCall remote;
  remote.request = request(call, arguments, deadline);
  if (auto why = unsendable(arguments)) {
    fall_back(call, *std::move(why), false);
    return false;
  }
  session_->start(remote);
  session_->assist(remote.over, deadline);
  if (!remote.ended.wait_until(deadline)) {
    session_->cancel(remote, late());
    remote.ended.wait();
  }
  auto why = take_reply(call, remote.reply);
  if (!why) return true;
  fall_back(call, *std::move(why), remote.reply.edge_lost);
  return false;
}

std::optional<Error> CallDispatcher::unsendable(const codec::Writer& arguments) const {
  if (session_ == nullptr) return Error{Errc::unreachable, "the runtime was made without an edge"};
  if (!arguments.ok())
    return Error{Errc::invalid_argument, "the arguments are larger than can be encoded"};
  return std::nullopt;
}

Error CallDispatcher::late() const {
  return {Errc::deadline_exceeded, "no result from the edge within " +
                                       std::to_string(options_.call_timeout.count()) + " ms"};
}

void CallDispatcher::fall_back(ElasticCall& call, Error why, bool edge_lost) {
  // That an edge was lost is said once, by the session.
  log_(edge_lost ? LogLevel::debug : LogLevel::warning,
       name_of(call) + ": runs here, since the edge failed: " + std::string(to_string(why.code)) +
           ": " + why.message);
  call.record.fell_back = true;
  call.record.remote_error = std::move(why);
}

// --- Here
// --------------------------------------------------------------------------------------------------------

void CallDispatcher::run_here(ElasticCall& call, bool instead_of_edge, std::stop_token stop) {
  if (instead_of_edge && session_ != nullptr) {
    if (const auto last_heard = session_->take_loss())
      call.record.takeover = steady_clock::now() - *last_heard;
  }
  TensorDigests digests(call.record);
  const inference::GraphScope graphs(graphs_, options_.digest_tensors ? &digests : nullptr,
                                     std::move(stop));
  const InPlaceScope in_place;
  call.run_native();
}

void CallDispatcher::finish(ElasticCall& call, TimePoint start) {
  if (call.has_exception()) call.set_error(call.exception_as_error());
  call.record.latency = steady_clock::now() - start;
  if (options_.on_call) options_.on_call(call.record);
}

void CallDispatcher::run(ElasticCall& call) {
  const TimePoint start = steady_clock::now();
  const Decided decided = decide(call);
  if (decided.place == Place::here) {
    run_here(call, decided.instead_of_edge, std::stop_token());
  } else if (!ran_at_edge(call)) {
    run_here(call, true, std::stop_token());
  }
  finish(call, start);
}

// --- Asynchronous calls
// ------------------------------------------------------------------------------------------

void CallDispatcher::start(ElasticCall& call) {
  auto owned = std::make_unique<AsyncRun>(*this, call);
  AsyncRun& run = *owned;
  call.attachment = std::move(owned);
  run.start = steady_clock::now();
  const Decided decided = decide(call);
  run.instead_of_edge = decided.instead_of_edge;
  bool at_edge = decided.place == Place::edge;
  if (at_edge) {
    run.request = request(call, run.arguments, run.start + options_.call_timeout);
    if (auto why = unsendable(run.arguments)) {
      fall_back(call, *std::move(why), false);
      at_edge = false;
    }
  }
  {
    const std::lock_guard lock(async_mutex_);
    async_runs_.push_back(&run);
    if (!at_edge) return post_here(run);
  }
  watch_.watch(run, run.request.deadline);
  session_->start(run);
}

void CallDispatcher::settle(AsyncRun& run) {
  if (auto why = take_reply(run.call, run.reply)) {
    if (!run.stop.stop_requested()) fall_back(run.call, *std::move(why), run.reply.edge_lost);
    run.instead_of_edge = true;
    {
      const std::lock_guard lock(async_mutex_);
      if (!run.stop.stop_requested()) return post_here(run);
    }
    run.call.set_error({Errc::cancelled, "the call was given up"});
  }
  end(run);
}

void CallDispatcher::post_here(AsyncRun& run) {
  run.phase = AsyncRun::Phase::waiting_here;
  executor_.post(run);
}

void CallDispatcher::run_async_here(AsyncRun& run) {
  {
    const std::lock_guard lock(async_mutex_);
    run.phase = AsyncRun::Phase::running_here;
  }
  if (run.stop.stop_requested()) {
    run.call.set_error({Errc::cancelled, "the call was given up"});
  } else {
    run_here(run.call, run.instead_of_edge, run.stop.get_token());
  }
  end(run);
}

void CallDispatcher::cancel(ElasticCall& call) {
  AsyncRun* run = nullptr;
  {
    const std::lock_guard lock(async_mutex_);
    const auto found =
        std::ranges::find(async_runs_, &call, [](const AsyncRun* r) { return &r->call; });
    if (found == async_runs_.end()) return;
    run = *found;
    if (!cancel_locked(*run)) return;
  }
  end(*run);
}

bool CallDispatcher::cancel_locked(AsyncRun& run) {
  run.stop.request_stop();
  const Error why{Errc::cancelled, "the call was given up"};
  switch (run.phase) {
    case AsyncRun::Phase::at_edge: session_->cancel(run, why); return false;
    case AsyncRun::Phase::running_here: return false;
    case AsyncRun::Phase::waiting_here: break;
  }
  if (!executor_.remove(run)) return false;
  run.call.set_error(why);
  return true;
}

void CallDispatcher::end(AsyncRun& run) {
  ElasticCall& call = run.call;
  finish(call, run.start);
  {
    const std::lock_guard lock(async_mutex_);
    std::erase(async_runs_, &run);
    async_changed_.notify_all();
  }
  call.completion().finish();  // the owner may destroy the call, and with it the run
}

}  // namespace aloft::function
