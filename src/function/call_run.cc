#include "function/call_run.h"

#include <bit>
#include <utility>

namespace aloft::function {
namespace {

using std::chrono::steady_clock;
using Kind = CallPlan::Step::Kind;

std::string name_of(const CallRecord& record) {
  return std::string(record.function) + ", call " + std::to_string(record.number);
}

std::string milliseconds(std::chrono::nanoseconds time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()) +
         " ms";
}

// What an edge's failure says of whether the call was begun there.
Begun begun(const RemoteReply& reply) {
  if (!reply.outcome || !reply.head.error) return reply.handed_over ? Begun::unknown : Begun::no;
  switch (reply.head.error->code) {
    case Errc::refused:
    case Errc::overloaded:
    case Errc::not_found:
    case Errc::signature_mismatch:
    case Errc::version_mismatch: return Begun::no;
    default: return Begun::yes;
  }
}

}  // namespace

// What a thread that reads a link for its future has to settle afterwards.
struct CallDispatcher::Run::Lending {
  CallDispatcher& dispatcher;
  std::atomic<bool>& looks_up;
  Run* first = nullptr;
  Run* last = nullptr;

  static Lending*& of_this_thread() {
    thread_local Lending* lending = nullptr;
    return lending;
  }
  // `run` is this thread's to work() from here on.
  void add(Run& run) {
    run.next_lent_ = nullptr;
    (last == nullptr ? first : last->next_lent_) = &run;
    last = &run;
    looks_up.store(true, std::memory_order_seq_cst);
  }
};

CallDispatcher::Run::Run(CallDispatcher& dispatcher, detail::ElasticCall& its_call, Form form,
                         const CallPlan::Rules& rules, TimePoint start)
    : call(its_call), dispatcher_(dispatcher), form_(form), start_(start), plan_(rules) {
  if (rules.deadline) deadline_ = *rules.deadline - start;
}

// --- News
// --------------------------------------------------------------------------------------------------------

bool CallDispatcher::Run::note(News news) {
  const std::lock_guard lock(mutex_);
  news_ |= static_cast<std::uint8_t>(news);
  if (form_ == Form::waited) {
    changed_.notify_one();
    return false;
  }
  return !std::exchange(working_, true);
}

void CallDispatcher::Run::bring(News news) {
  if (note(news)) work();
}

// From the link's thread, or from within a step.
void CallDispatcher::Run::on_ended() {
  const std::lock_guard lock(mutex_);
  news_ |= static_cast<std::uint8_t>(News::edge);
  if (form_ == Form::waited) {
    edge_ended_.store(true, std::memory_order_release);
    changed_.notify_one();
  } else if (!working_) {
    Lending* const lending = Lending::of_this_thread();
    if (lending != nullptr && &lending->dispatcher == &dispatcher_) {
      working_ = true;
      lending->add(*this);
    } else {
      dispatcher_.watch_.post(*this);
    }
  }
}

bool CallDispatcher::Run::lend(CallDispatcher& dispatcher) {
  // For so long at a time.
  constexpr std::chrono::milliseconds kMoment{10};
  if (&dispatcher != &dispatcher_) return false;  // another runtime is bound now
  const EdgeIndex edge = awaited_edge_.load(std::memory_order_acquire);
  if (edge >= dispatcher_.sessions_.size()) return false;
  dispatcher_.lenders_.fetch_add(1, std::memory_order_seq_cst);
  // Either the end of the call is seen here, or it finds this thread counted and nudges it.
  lender_looks_.store(false, std::memory_order_seq_cst);
  Lending lending{dispatcher_, lender_looks_};
  const auto until = steady_clock::now() + kMoment;
  if (!told_.load(std::memory_order_seq_cst)) {
    Lending::of_this_thread() = &lending;
    (void)dispatcher_.sessions_[edge]->assist(lender_looks_, until);
    Lending::of_this_thread() = nullptr;
  }
  // Whoever returns early with nothing was turned away, or has met the end of the link or the call.
  const bool of_use = lending.first != nullptr || steady_clock::now() >= until;
  dispatcher_.lenders_.fetch_sub(1, std::memory_order_relaxed);
  while (lending.first != nullptr) {
    Run& run = *std::exchange(lending.first, lending.first->next_lent_);
    run.work();  // it may be gone after this
  }
  return of_use;
}

void CallDispatcher::Run::on_hedge_ended(Ended ended) {
  const std::lock_guard lock(mutex_);
  hedge_ = std::move(ended);
  news_ |= static_cast<std::uint8_t>(News::hedge);
  if (form_ == Form::waited) {
    changed_.notify_one();
  } else if (!working_) {
    dispatcher_.watch_.post(*this);
  }
}

void CallDispatcher::Run::on_time() {
  if (form_ == Form::waited) {  // its caller's thread runs it here, and cannot see to it
    stop_->request_stop();
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    armed_.reset();
  }
  bring(News::time);
}

void CallDispatcher::Run::on_posted() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(working_, true)) return;
  }
  work();
}

std::optional<CallDispatcher::Run::News> CallDispatcher::Run::next_news() {
  if (news_ == 0) return std::nullopt;
  const auto first = static_cast<std::uint8_t>(1U << std::countr_zero(news_));
  news_ = static_cast<std::uint8_t>(news_ & ~first);
  return static_cast<News>(first);
}

// --- The worker
// --------------------------------------------------------------------------------------------------

CallPlan::Steps CallDispatcher::Run::begin_plan(const Decided& decided) {
  instead_of_edge_ = decided.instead_of_edge;
  return decided.edge ? plan_.begin_at(*decided.edge, start_) : plan_.begin_here(start_);
}

void CallDispatcher::Run::carry_out(const Decided& decided) {
  take(begin_plan(decided));
  while (!plan_.over()) {
    assist();
    std::optional<News> news;
    {
      std::unique_lock lock(mutex_);
      const auto wakes_at = plan_.wakes_at();
      while (!(news = next_news())) {
        if (!wakes_at) {
          changed_.wait(lock);
        } else if (changed_.wait_until(lock, *wakes_at) == std::cv_status::timeout && news_ == 0) {
          news = News::time;
          break;
        }
      }
    }
    take(handle(*news));
  }
}

void CallDispatcher::Run::assist() {
  // What only the link brings: beside a hedge there is other news.
  if (!plan_.awaits_edge() || plan_.hedging() || edge_ >= dispatcher_.sessions_.size()) return;
  if (edge_ended_.load(std::memory_order_acquire)) return;
  const auto until = plan_.wakes_at();
  if (until) (void)dispatcher_.sessions_[edge_]->assist(edge_ended_, *until);
}

void CallDispatcher::Run::begin(const Decided& decided) {
  const auto steps = begin_plan(decided);
  const bool last = plan_.over();
  take(steps);
  if (!last) work();
}

void CallDispatcher::Run::work() {
  for (;;) {
    std::optional<News> news;
    {
      const std::lock_guard lock(mutex_);
      news = next_news();
      if (!news) {
        const auto wakes_at = plan_.wakes_at();
        if (wakes_at != armed_) {
          armed_ = wakes_at;
          dispatcher_.watch_.set(*this, wakes_at);
        }
        working_ = false;
        return;
      }
    }
    const auto steps = handle(*news);
    const bool last = plan_.over();
    take(steps);
    if (last) return;  // nothing of this may be left
  }
}

CallPlan::Steps CallDispatcher::Run::handle(News news) {
  switch (news) {
    case News::edge: return handle_edge();
    case News::here:
      return plan_.here_ended(steady_clock::now(), ran_ && !call.has_exception()
                                                       ? CallPlan::Here::result
                                                       : CallPlan::Here::none);
    case News::hedge: return handle_hedge();
    case News::cancel: return plan_.cancel();
    case News::time: break;
  }
  return plan_.on_timer(steady_clock::now());
}

CallPlan::Steps CallDispatcher::Run::handle_edge() {
  awaited_edge_.store(kNoEdge, std::memory_order_relaxed);
  CallRecord& record = call.record;
  record.tx_bytes += reply.tx_bytes;
  record.rx_bytes += reply.rx_bytes;
  const EdgeSet ready = dispatcher_.ready_edges(*call.function().module);
  if (!plan_.awaits_edge()) {
    return plan_.edge_failed(edge_, Errc::cancelled, Begun::unknown, ready, steady_clock::now());
  }
  auto why = take_reply();
  if (!why) return plan_.edge_answered(edge_, steady_clock::now());
  const auto steps = plan_.edge_failed(edge_, why->code, begun(reply), ready, steady_clock::now());
  for (const CallPlan::Step& step : steps) {
    // That an edge was lost is said once, by the session.
    const LogLevel level = reply.edge_lost ? LogLevel::debug : LogLevel::warning;
    if (step.kind == Kind::tell || !dispatcher_.log_.wants(level)) continue;
    dispatcher_.log_(
        level, name_of(record) +
                   (step.kind == Kind::call_edge ? ": goes to edge " + std::to_string(step.edge)
                                                 : std::string(": runs here")) +
                   ", since the edge failed: " + std::string(to_string(why->code)) + ": " +
                   why->message);
  }
  record.remote_error = std::move(why);
  return steps;
}

std::optional<Error> CallDispatcher::Run::take_reply() {
  if (!reply.outcome) return std::move(reply.outcome).error();
  if (reply.head.error) {
    if (reply.head.error->code == Errc::trapped && !reply.given_version) return std::nullopt;
    return *reply.head.error;
  }
  if (auto decoded = call.decode({reply.body.get(), reply.body_size}); !decoded) {
    return Error{Errc::protocol, "the edge's result cannot be read: " + decoded.error().message};
  }
  learn_of_images();
  return std::nullopt;
}

CallPlan::Steps CallDispatcher::Run::handle_hedge() {
  auto outcome = CallPlan::Hedge::usable;
  // Nothing else writes the call's result: with one from an edge the plan would be over.
  const auto& result = hedge_->result;
  if (result) {
    if (!call.decode(*result)) outcome = CallPlan::Hedge::unusable;
  } else if (result.error().code != Errc::trapped && result.error().code != Errc::internal) {
    outcome = CallPlan::Hedge::unusable;
  }
  return plan_.hedge_ended(outcome, dispatcher_.ready_edges(*call.function().module),
                           steady_clock::now());
}

// --- Steps
// -------------------------------------------------------------------------------------------------------

void CallDispatcher::Run::take(const CallPlan::Steps& steps) {
  for (const CallPlan::Step& step : steps) take(step);
}

void CallDispatcher::Run::take(const CallPlan::Step& step) {
  switch (step.kind) {
    case Kind::call_edge: return call_edge(step.edge);
    case Kind::cancel_edge: return cancel_edge();
    case Kind::run_here: return begin_here();
    case Kind::stop_here:
      stop_->request_stop();
      if (dispatcher_.executor_.remove(*this)) (void)note(News::here);  // this is the worker
      return;
    case Kind::run_hedge: return begin_hedge();
    case Kind::stop_hedge: return dispatcher_.hedges_.stop(*this);
    case Kind::tell: return tell();
  }
}

void CallDispatcher::Run::call_edge(EdgeIndex edge) {
  if (!std::exchange(encoded_, true)) call.encode(arguments_);
  call.record.input_bytes = arguments_.size();
  edge_ = edge;
  edge_ended_.store(false, std::memory_order_relaxed);
  reply = {};
  const auto& sessions = dispatcher_.sessions_;
  if (edge >= sessions.size()) {
    reply.outcome =
        fail(Errc::unreachable, sessions.empty() ? "the runtime was made without an edge"
                                                 : "the runtime has no such edge");
  } else if (!arguments_.ok()) {
    reply.outcome = fail(Errc::invalid_argument, "the arguments are larger than can be encoded");
  }
  if (!reply.outcome) {
    edge_ended_.store(true, std::memory_order_relaxed);
    (void)note(News::edge);
    return;
  }
  if (++call.record.edges_tried > 1) dispatcher_.note_takeover(call.record);
  choose_images(*sessions[edge]);
  request = {.function = &call.function(),
             .number = call.record.number,
             .arguments = arguments_.segments(),
             .argument_bytes = arguments_.size(),
             .coded = coded_ ? &*coded_ : nullptr,
             .deadline = plan_.edge_time(),
             .digest_tensors = dispatcher_.options_.digest_tensors,
             .haste = form_ == Form::future ? channel::Haste::none : channel::Haste::now};
  awaited_edge_.store(edge, std::memory_order_release);
  sessions[edge]->start(*this);
}

void CallDispatcher::Run::cancel_edge() {
  const Error why =
      plan_.awaits_edge()
          ? Error{Errc::deadline_exceeded, "no result from the edge within " +
                                               milliseconds(dispatcher_.options_.call_timeout)}
          : Error{Errc::cancelled, "the call is not wanted at this edge any more"};
  if (edge_ < dispatcher_.sessions_.size()) dispatcher_.sessions_[edge_]->cancel(*this, why);
}

void CallDispatcher::Run::begin_here() {
  if (plan_.tried() != 0) {
    call.record.fell_back = true;
    instead_of_edge_ = true;
  }
  stop_.emplace();
  if (form_ == Form::future) return dispatcher_.executor_.post(*this);
  const auto time = plan_.wakes_at();
  if (time) dispatcher_.watch_.set(*this, time);
  ran_ = true;
  dispatcher_.run_here(call, instead_of_edge_, stop_->get_token());
  if (time) dispatcher_.watch_.forget(*this);
  (void)note(News::here);
}

void CallDispatcher::Run::run_here() {
  if (!stop_->stop_requested()) {
    ran_ = true;
    dispatcher_.run_here(call, instead_of_edge_, stop_->get_token());
  }
  bring(News::here);
}

void CallDispatcher::Run::begin_hedge() {
  if (call.function().run_encoded == nullptr) {
    const std::lock_guard lock(mutex_);
    hedge_ = Ended{.result = fail(Errc::refused, "it was built without a run of encoded arguments"),
                   .tensor_digests = {}};
    news_ |= static_cast<std::uint8_t>(News::hedge);
    return;
  }
  std::vector<std::byte> copy;
  copy.reserve(arguments_.size());
  // As the link has them: it may be reading them now, so that nobody lists them anew.
  for (const auto segment : request.arguments)
    copy.insert(copy.end(), segment.begin(), segment.end());
  if (dispatcher_.log_.wants(LogLevel::debug)) {
    dispatcher_.log_(LogLevel::debug, name_of(call.record) + ": is run here as well, since edge " +
                                          std::to_string(edge_) + " is late");
  }
  dispatcher_.hedges_.start(*this, call.function(), std::move(copy));
}

void CallDispatcher::Run::tell() {
  CallRecord& record = call.record;
  using Source = CallPlan::Told::Source;
  switch (plan_.told().source) {
    case Source::edge:
      if (reply.head.error) {
        std::string line = name_of(record) + ": trapped at the edge: " + reply.head.error->message;
        if (!reply.head.trap_backtrace.empty()) line += "\n" + reply.head.trap_backtrace;
        dispatcher_.log_(LogLevel::error, line);
        call.set_error(*std::move(reply.head.error));
      }
      record.place = Place::edge;
      record.location = Location::edge(edge_);
      record.edge_run = std::chrono::microseconds(reply.head.run_us);
      record.edge_queue = std::chrono::microseconds(reply.head.queue_us);
      record.edge_inference = std::chrono::microseconds(reply.head.inference_us);
      record.tensor_digests = std::move(reply.head.tensor_digests);
      break;
    case Source::here: break;
    case Source::hedge:
      record.hedged = true;
      record.tensor_digests = std::move(hedge_->tensor_digests);
      if (!hedge_->result) call.set_error(std::move(hedge_->result).error());
      break;
    case Source::failure: call.set_error(failure(plan_.told().failure)); break;
  }
  if (form_ == Form::waited) return;
  told_.store(true, std::memory_order_seq_cst);
  lender_looks_.store(true, std::memory_order_seq_cst);
  dispatcher_.watch_.forget(*this);
  dispatcher_.end(call, start_, this);
}

Error CallDispatcher::Run::failure(Errc code) const {
  switch (code) {
    case Errc::cancelled: return {code, "the call was given up"};
    case Errc::deadline_exceeded:
      if (deadline_) return {code, "no result within the call's " + milliseconds(*deadline_)};
      break;
    case Errc::interrupted:
      return {code, "it has effects and may have run at the edge, which did not say: " +
                        (call.record.remote_error ? call.record.remote_error->message
                                                  : std::string("it was given up"))};
    default: break;
  }
  return call.record.remote_error.value_or(Error{code, "no place could do it"});
}

}  // namespace aloft::function
