#include "function/call_plan.h"

#include <algorithm>
#include <bit>

#include "base/mutation.h"

namespace aloft::function {
namespace {

using Kind = CallPlan::Step::Kind;
using Source = CallPlan::Told::Source;

constexpr EdgeSet bit(EdgeIndex edge) { return EdgeSet{1} << edge; }

}  // namespace

bool CallPlan::late(Time now) const {
  return rules_.deadline && now >= *rules_.deadline && !mutated("call_forgets_its_deadline");
}

CallPlan::Steps CallPlan::begin_here(Time now) {
  Steps steps;
  began_ = now;
  if (late(now)) {
    tell({.failure = Errc::deadline_exceeded}, steps);
  } else {
    run_here(steps);
  }
  return steps;
}

CallPlan::Steps CallPlan::begin_at(EdgeIndex edge, Time now) {
  Steps steps;
  began_ = now;
  if (late(now)) {
    tell({.failure = Errc::deadline_exceeded}, steps);
  } else {
    call_edge(edge, now, steps);
  }
  return steps;
}

void CallPlan::call_edge(EdgeIndex edge, Time now, Steps& steps) {
  state_ = State::at_edge;
  edge_ = edge;
  tried_ |= bit(edge);
  slow_at_ = now + rules_.edge_limit;
  steps.add(Kind::call_edge, edge);
}

void CallPlan::run_here(Steps& steps) {
  state_ = State::here;
  steps.add(Kind::run_here);
}

void CallPlan::tell(const Told& told, Steps& steps) {
  if (hedging_ && told.source != Source::hedge) steps.add(Kind::stop_hedge);
  hedging_ = false;
  told_ = told;
  state_ = State::over;
  steps.add(Kind::tell);
}

void CallPlan::tell_in_time(const Told& told, Time now, Steps& steps) {
  tell(late(now) ? Told{.failure = Errc::deadline_exceeded} : told, steps);
}

void CallPlan::decide(const Told& told, Steps& steps) {
  switch (state_) {
    case State::at_edge: steps.add(Kind::cancel_edge, edge_); break;
    case State::here: steps.add(Kind::stop_here); break;
    case State::leaving_edge:
      if (cause_ == Cause::decided) return;
      break;
    case State::at_hedge: return tell(told, steps);
    case State::leaving_here:
    case State::fresh:
    case State::over: return;
  }
  state_ = state_ == State::here ? State::leaving_here : State::leaving_edge;
  cause_ = Cause::decided;
  told_ = told;
  if (hedging_ && told.source != Source::hedge) steps.add(Kind::stop_hedge);
  hedging_ = false;
}

void CallPlan::go_on(Errc why, Begun begun, EdgeSet ready, Time now, Steps& steps) {
  const bool slow = state_ == State::leaving_edge || why == Errc::deadline_exceeded;
  if (rules_.repeat == Repeat::never && !mutated("call_with_effects_runs_again")) {
    if (begun == Begun::unknown) return tell_in_time({.failure = Errc::interrupted}, now, steps);
    if (begun == Begun::yes) return tell_in_time({.failure = why}, now, steps);
  }
  // An edge is told how long it has, and may be the first to notice that this is the deadline.
  const bool its_deadline = slow && rules_.deadline && *rules_.deadline <= slow_at_;
  if (late(now) || its_deadline) return tell({.failure = Errc::deadline_exceeded}, steps);
  if (hedging_) {
    state_ = State::at_hedge;
    return;
  }
  const EdgeSet left = ready & ~tried_;
  // Arguments that cannot be sent to one edge cannot be sent to another; and a call that took its
  // time at one edge has none to lose at another.
  const bool edges_help = !slow && why != Errc::invalid_argument;
  if (edges_help && left != 0) {
    call_edge(static_cast<EdgeIndex>(std::countr_zero(left)), now, steps);
  } else if (rules_.fallback == Fallback::here) {
    run_here(steps);
  } else {
    tell({.failure = why}, steps);
  }
}

CallPlan::Steps CallPlan::edge_answered(EdgeIndex edge, Time now) {
  Steps steps;
  if (edge != edge_) return steps;
  if (awaits_edge()) {
    tell_in_time({.source = Source::edge, .edge = edge}, now, steps);
  } else if (state_ == State::leaving_edge) {
    tell(mutated("call_tells_what_it_gave_up") ? Told{.source = Source::edge, .edge = edge} : told_,
         steps);
  }
  return steps;
}

CallPlan::Steps CallPlan::edge_failed(EdgeIndex edge, Errc why, Begun begun, EdgeSet ready,
                                      Time now) {
  Steps steps;
  if (edge != edge_ || (state_ != State::at_edge && state_ != State::leaving_edge)) return steps;
  if (state_ == State::leaving_edge && cause_ == Cause::decided) {
    tell(told_, steps);
  } else {
    go_on(why, begun, ready, now, steps);
  }
  return steps;
}

CallPlan::Steps CallPlan::here_ended(Time now, Here here) {
  Steps steps;
  if (state_ == State::here) {
    tell_in_time({.source = Source::here}, now, steps);
  } else if (state_ == State::leaving_here) {
    const bool too_late = told_.failure == Errc::cancelled && here == Here::result;
    tell_in_time(too_late ? Told{.source = Source::here} : told_, now, steps);
  }
  return steps;
}

CallPlan::Steps CallPlan::hedge_ended(Hedge hedge, EdgeSet ready, Time now) {
  Steps steps;
  if (!hedging_) return steps;
  if (hedge == Hedge::usable) {
    decide(late(now) ? Told{.failure = Errc::deadline_exceeded} : Told{.source = Source::hedge},
           steps);
    return steps;
  }
  hedging_ = false;
  if (state_ == State::at_hedge) go_on(Errc::unreachable, Begun::no, ready, now, steps);
  return steps;
}

CallPlan::Steps CallPlan::cancel() {
  Steps steps;
  decide({.failure = Errc::cancelled}, steps);
  return steps;
}

std::optional<CallPlan::Time> CallPlan::wakes_at() const {
  const std::optional<Time> at =
      mutated("call_forgets_its_deadline") ? std::nullopt : rules_.deadline;
  switch (state_) {
    case State::at_edge: {
      Time earliest = slow_at_;
      if (at) earliest = std::min(earliest, *at);
      if (rules_.hedge && !hedged_) earliest = std::min(earliest, began_ + *rules_.hedge);
      return earliest;
    }
    case State::at_hedge:
    case State::here: return at;
    case State::leaving_edge: return cause_ == Cause::slow ? at : std::nullopt;
    case State::leaving_here:
    case State::fresh:
    case State::over: break;
  }
  return std::nullopt;
}

CallPlan::Steps CallPlan::on_timer(Time now) {
  Steps steps;
  if (late(now)) {
    decide({.failure = Errc::deadline_exceeded}, steps);
  } else if (state_ == State::at_edge && now >= slow_at_) {
    steps.add(Kind::cancel_edge, edge_);
    state_ = State::leaving_edge;
    cause_ = Cause::slow;
  } else if (state_ == State::at_edge && rules_.hedge && !hedged_ &&
             now >= began_ + *rules_.hedge) {
    hedging_ = hedged_ = true;
    steps.add(Kind::run_hedge);
  }
  return steps;
}

}  // namespace aloft::function
