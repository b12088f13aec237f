// One call of an elastic function after its place was decided: where it is run when that place
// fails, is late, or is given up, and what its caller is told.
//
//   at the edge  --- failed, a ready edge not yet tried ---> at the next edge
//                --- failed or too slow ---------------------> here, with Fallback::here; else told
//                --- result, or trap ----------------------> told
//                --- hedge time --------------------------> at the edge, and hedged here
//   hedged       --- what ends first ----------------------> told; the other one is cancelled
//   any          --- deadline, cancelled -------------------> told
//
// A pure call may be run again as often as there are places. One with effects (Repeat::never) is
// begun at most once: it goes on to another place only while it is certain that it was not begun at
// the one before, and when nobody can know, its caller is told `interrupted`.
//
// A call borrows its caller's arguments: it is told, once, when no run uses them any more. An edge
// that is told to give up says when it has; only a hedge has a copy, and is waited for by nobody.
//
// Does no I/O, reads no clock, takes no lock and no memory. Thread rule: one thread at a time.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <aloft/function_settings.h>
#include <aloft/result.h>

namespace aloft::function {

using EdgeIndex = std::uint32_t;  // in RuntimeOptions::edges
using EdgeSet = std::uint64_t;    // bit n: the edge n
inline constexpr std::size_t kMaxEdges = 64;

enum class Repeat : std::uint8_t {
  allowed,  // ALOFT_OFFLOAD: pure
  never,    // ALOFT_OFFLOAD_ONCE: has effects
};

// Whether a call that an edge failed was begun there.
enum class Begun : std::uint8_t {
  no,       // never left, or the edge says that it did not take it
  unknown,  // it left, and nothing came back
  yes,      // the edge says how its run failed
};

class CallPlan {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;

  struct Rules {
    Repeat repeat = Repeat::allowed;
    Fallback fallback = Fallback::here;
    Duration edge_limit = std::chrono::seconds(5);  // at one edge; longer counts as failed
    std::optional<Duration> hedge;  // at one edge; not with Repeat::never or Fallback::none
    std::optional<Time> deadline;
  };

  // Something to do, now. What an event leads to is at most three of these, in order.
  struct Step {
    enum class Kind : std::uint8_t {
      call_edge,    // at `edge`: begin it there; ends with edge_answered() or edge_failed()
      cancel_edge,  // at `edge`: it is not wanted any more; it still ends with one of these
      run_here,     // with the caller's arguments; ends with here_ended()
      stop_here,    // ask it to end soon; it still ends with here_ended()
      run_hedge,    // here, with a copy of the arguments; ends with hedge_ended(), unless stopped
      stop_hedge,   // it is not wanted any more; nothing is said about it from now on
      tell,         // the last one, once: told() says what; nothing uses the arguments any more
    };
    Kind kind = Kind::tell;
    EdgeIndex edge = 0;
    friend bool operator==(const Step&, const Step&) = default;
  };
  class Steps {
   public:
    void add(Step::Kind kind, EdgeIndex edge = 0) { steps_[size_++] = {kind, edge}; }
    [[nodiscard]] const Step* begin() const { return steps_.data(); }
    [[nodiscard]] const Step* end() const { return steps_.data() + size_; }
    [[nodiscard]] std::size_t size() const { return size_; }

   private:
    std::array<Step, 3> steps_{};
    std::size_t size_ = 0;
  };

  // What the caller is told: the result of the edge's run (or its trap), of the run here, of the
  // hedge; or `failure`, of which `edge` was the last tried, if any.
  struct Told {
    enum class Source : std::uint8_t { edge, here, hedge, failure };
    Source source = Source::failure;
    EdgeIndex edge = 0;             // Source::edge
    Errc failure = Errc::internal;  // Source::failure
  };

  explicit CallPlan(const Rules& rules) : rules_(rules) {}

  // One of these, once, first.
  [[nodiscard]] Steps begin_here(Time now);
  [[nodiscard]] Steps begin_at(EdgeIndex edge, Time now);

  // What is said about a run that is not under way is ignored.
  // A result, or a trap.
  [[nodiscard]] Steps edge_answered(EdgeIndex edge, Time now);
  // Anything else; also the end of one that was cancelled. `ready`, here and below: the edges that
  // could take a call now.
  [[nodiscard]] Steps edge_failed(EdgeIndex edge, Errc why, Begun begun, EdgeSet ready, Time now);
  enum class Here : std::uint8_t {
    result,  // the function returned
    none,    // it threw, or was stopped before it began
  };
  // Also the end of one that was stopped. A body that returns all the same was not cancelled.
  [[nodiscard]] Steps here_ended(Time now, Here here = Here::result);
  enum class Hedge : std::uint8_t {
    usable,    // a result or an exception
    unusable,  // it could not be run
  };
  [[nodiscard]] Steps hedge_ended(Hedge hedge, EdgeSet ready, Time now);
  // The caller gives the call up.
  [[nodiscard]] Steps cancel();

  // When something is to be done without an event; on_timer() at or after it.
  [[nodiscard]] std::optional<Time> wakes_at() const;
  [[nodiscard]] Steps on_timer(Time now);

  // Whether a result of the edge, if one came now, would be told: else it need not be looked at.
  [[nodiscard]] bool awaits_edge() const {
    return state_ == State::at_edge || (state_ == State::leaving_edge && cause_ == Cause::slow);
  }
  // How long the edge that a call was just begun at has for it.
  [[nodiscard]] Time edge_time() const {
    return rules_.deadline && *rules_.deadline < slow_at_ ? *rules_.deadline : slow_at_;
  }
  [[nodiscard]] bool hedging() const { return hedging_; }
  [[nodiscard]] bool over() const { return state_ == State::over; }
  [[nodiscard]] const Told& told() const { return told_; }  // once over
  // For tests and simulations: edges this call was begun at.
  [[nodiscard]] EdgeSet tried() const { return tried_; }

 private:
  enum class State : std::uint8_t {
    fresh,
    at_edge,
    leaving_edge,  // told to give up; what is next is known once it has
    at_hedge,      // no edge any more, only the hedge
    here,
    leaving_here,
    over,
  };
  // Why a run is left.
  enum class Cause : std::uint8_t { slow, decided };

  [[nodiscard]] bool late(Time now) const;
  void call_edge(EdgeIndex edge, Time now, Steps& steps);
  void run_here(Steps& steps);
  // No run uses the arguments.
  void tell(const Told& told, Steps& steps);
  // Tells `told` unless its time is over.
  void tell_in_time(const Told& told, Time now, Steps& steps);
  // The outcome is known; it is told as soon as no run uses the arguments.
  void decide(const Told& told, Steps& steps);
  // An edge failed and no other run uses the arguments: goes to the next place, or tells.
  void go_on(Errc why, Begun begun, EdgeSet ready, Time now, Steps& steps);

  Rules rules_;
  State state_ = State::fresh;
  Cause cause_ = Cause::decided;  // leaving_edge
  bool hedging_ = false;          // a hedge is under way
  bool hedged_ = false;           // one was begun: there is one at most
  EdgeIndex edge_ = 0;            // at_edge, leaving_edge
  EdgeSet tried_ = 0;
  Time began_{};
  Time slow_at_{};  // at_edge: the end of this edge's time
  Told told_;       // over, or leaving with Cause::decided
};

}  // namespace aloft::function
