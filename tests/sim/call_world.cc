#include "call_world.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "function/call_plan.h"

namespace aloft::sim {
namespace {

using function::Begun;
using function::CallPlan;
using function::EdgeIndex;
using function::EdgeSet;
using function::Repeat;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Step = CallPlan::Step;
using Source = CallPlan::Told::Source;

// Longer than any run takes to give up once it is asked to.
constexpr Duration kGivesUp = milliseconds(50);

class Calls;

// One call, its caller, and what runs for it.
class OneCall {
 public:
  OneCall(Calls& calls, std::uint64_t number) : calls_(calls), number_(number) {}
  void begin();
  void finish() {
    if (!told_) broken("was never told");
  }

 private:
  // What happens to a call at an edge, drawn when it goes there.
  enum class Fate : std::uint8_t {
    answered,
    not_taken,    // it says at once that it does not take it
    too_large,    // the arguments fit no edge
    failed,       // its run failed, for a reason of the edge's
    lost_before,  // the edge is lost before the call comes there
    lost_after,   // the edge is lost after it has run
  };

  void take(const CallPlan::Steps& steps);
  void call_edge(EdgeIndex edge);
  void edge_ends(EdgeIndex edge, Fate fate);
  void cancel_edge(EdgeIndex edge);
  void run_here();
  void here_ends();
  void run_hedge();
  void told();
  void check_failure(Errc why);
  void set_timer();
  void ran();
  [[nodiscard]] EdgeSet ready() const;
  [[nodiscard]] bool pure() const { return rules_.repeat == Repeat::allowed; }
  void broken(const std::string& what);

  Calls& calls_;
  std::uint64_t number_;
  CallPlan::Rules rules_;
  std::optional<CallPlan> plan_;

  std::optional<EdgeIndex> at_edge_;  // a run there uses the arguments
  std::uint64_t edge_run_ = 0;        // the one that counts
  Fate fate_ = Fate::answered;
  Time edge_ends_at_{};
  Time at_edge_since_{};
  bool edge_cancelled_ = false;
  bool here_ = false;  // a run here uses the arguments
  std::uint64_t here_run_ = 0;
  bool hedge_ = false;
  bool was_hedged_ = false;

  EdgeSet tried_ = 0;
  std::uint32_t runs_ = 0;
  bool unknown_ = false;  // it went to an edge that was lost
  bool slow_ = false, too_large_ = false, deadline_told_ = false;
  std::optional<EdgeIndex> edge_answered_;
  bool here_ended_ = false;
  std::optional<Time> hedge_ended_;  // with something usable
  std::optional<Time> gave_up_;
  std::optional<Errc> last_failure_;
  bool told_ = false;
  std::uint64_t timer_ = 0;
};

class Calls {
 public:
  explicit Calls(const RunOptions& options) : random(options.seed), trace(options.trace) {
    (void)draw(random, options.plot);
    edges = static_cast<std::uint32_t>(random.between(1, 4));
    trouble = random.chance(200) ? 0 : random.between(1, 700);
    down.resize(edges);
  }

  RunResult run() {
    const std::size_t count = random.size_between(10, 40);
    for (std::size_t i = 0; i < count; ++i) {
      calls_.push_back(std::make_unique<OneCall>(*this, i + 1));
      agenda.after(random.between(Duration(0), milliseconds(200)),
                   [call = calls_.back().get()] { call->begin(); });
    }
    if (trouble != 0) agenda.after(Duration(0), [this] { change_an_edge(); });
    const Time end = Time{} + seconds(60);
    while (violations.empty() && agenda.step(end)) {
    }
    if (violations.empty())
      for (const auto& call : calls_) call->finish();
    RunResult result;
    result.plot = Plot::call;
    result.violations = std::move(violations);
    result.events = agenda.happened();
    result.fingerprint = trace.fingerprint();
    result.seen = seen;
    return result;
  }

  Random random;
  Trace trace;
  Agenda agenda;
  std::uint32_t edges = 1;
  std::uint64_t trouble = 0;  // of 1000 calls at an edge that go wrong there
  std::vector<bool> down;
  std::vector<std::string> violations;
  RunResult::Seen seen;

 private:
  void change_an_edge() {
    const std::size_t edge = random.size_between(0, edges - 1);
    down[edge] = !down[edge];
    if (agenda.now() < Time{} + seconds(2))
      agenda.after(random.between(Duration(0), milliseconds(100)), [this] { change_an_edge(); });
    else
      down.assign(edges, false);
  }

  std::vector<std::unique_ptr<OneCall>> calls_;
};

void OneCall::broken(const std::string& what) {
  if (calls_.violations.size() < 8)
    calls_.violations.push_back("call " + std::to_string(number_) + " " + what);
}

EdgeSet OneCall::ready() const {
  EdgeSet ready = 0;
  for (EdgeIndex edge = 0; edge < calls_.edges; ++edge)
    if (!calls_.down[edge]) ready |= EdgeSet{1} << edge;
  return ready;
}

void OneCall::begin() {
  Random& random = calls_.random;
  const Time now = calls_.agenda.now();
  rules_.repeat = random.chance(300) ? Repeat::never : Repeat::allowed;
  rules_.fallback = random.chance(250) ? Fallback::none : Fallback::here;
  rules_.edge_limit = random.skewed(milliseconds(5), seconds(2));
  if (pure() && rules_.fallback == Fallback::here && random.chance(400))
    rules_.hedge = random.skewed(Duration(0), milliseconds(100));
  if (random.chance(500))
    rules_.deadline = now + random.skewed(milliseconds(-1), milliseconds(500));
  plan_.emplace(rules_);
  if (random.chance(250)) {
    calls_.agenda.after(random.skewed(Duration(0), milliseconds(150)), [this] {
      if (plan_->over()) return;
      if (!gave_up_) gave_up_ = calls_.agenda.now();
      calls_.trace.note(calls_.agenda.now(), "call= is given up", number_);
      take(plan_->cancel());
    });
  }
  const auto edge = static_cast<EdgeIndex>(random.below(calls_.edges));
  const bool here = random.chance(150);
  calls_.trace.note(now, "call= begins, pure= at edge=", number_, pure(), here ? 0 : edge + 1);
  take(here ? plan_->begin_here(now) : plan_->begin_at(edge, now));
}

void OneCall::take(const CallPlan::Steps& steps) {
  for (const Step& step : steps) {
    if (told_) broken("goes on after it was told");
    switch (step.kind) {
      case Step::Kind::call_edge: call_edge(step.edge); break;
      case Step::Kind::cancel_edge: cancel_edge(step.edge); break;
      case Step::Kind::run_here: run_here(); break;
      case Step::Kind::stop_here:
        if (!here_) broken("stops a run here that is not there");
        // It ends soon; not later than it would have.
        calls_.agenda.after(calls_.random.between(Duration(0), kGivesUp), [this, run = here_run_] {
          if (run == here_run_) here_ends();
        });
        break;
      case Step::Kind::run_hedge: run_hedge(); break;
      case Step::Kind::stop_hedge:
        if (!hedge_) broken("stops a hedge that does not run");
        hedge_ = false;
        break;
      case Step::Kind::tell: told(); break;
    }
  }
  if (!told_) set_timer();
}

void OneCall::set_timer() {
  const std::uint64_t timer = ++timer_;
  const auto when = plan_->wakes_at();
  if (!when) return;
  calls_.agenda.at(*when, [this, timer] {
    if (timer != timer_ || told_) return;
    take(plan_->on_timer(calls_.agenda.now()));
    const Time now = calls_.agenda.now();
    if (!told_ && at_edge_ && !edge_cancelled_ && rules_.hedge && !was_hedged_ &&
        now >= at_edge_since_ + *rules_.hedge && !(rules_.deadline && now >= *rules_.deadline))
      broken("is late at its edge, and is not hedged");
  });
}

void OneCall::ran() {
  ++runs_;
  if (!pure() && runs_ > 1) broken("has effects and runs a second time");
}

void OneCall::call_edge(EdgeIndex edge) {
  Random& random = calls_.random;
  if (at_edge_ || here_) broken("runs at an edge while another run uses its arguments");
  if (((tried_ >> edge) & 1U) != 0) broken("goes to an edge a second time");
  if (tried_ != 0 && calls_.down[edge]) broken("goes to an edge that is not ready");
  tried_ |= EdgeSet{1} << edge;
  at_edge_ = edge;
  at_edge_since_ = calls_.agenda.now();
  edge_cancelled_ = false;
  const std::uint64_t run = ++edge_run_;
  fate_ = Fate::answered;
  if (random.chance(calls_.trouble)) fate_ = static_cast<Fate>(1 + random.below(5));
  if (calls_.down[edge] && fate_ == Fate::answered)
    fate_ = random.chance(500) ? Fate::not_taken : Fate::lost_before;
  Duration time = random.skewed(microseconds(100), milliseconds(60));
  if (fate_ == Fate::not_taken) time = random.skewed(Duration(0), milliseconds(1));
  if (random.chance(50)) time += random.skewed(milliseconds(100), seconds(3));
  edge_ends_at_ = calls_.agenda.now() + time;
  if (fate_ == Fate::answered || fate_ == Fate::failed || fate_ == Fate::lost_after) ran();
  calls_.trace.note(calls_.agenda.now(), "call= at edge= fate=", number_, edge + 1,
                    static_cast<unsigned>(fate_));
  calls_.agenda.at(edge_ends_at_, [this, run, edge] {
    if (run == edge_run_ && at_edge_) edge_ends(edge, fate_);
  });
}

void OneCall::edge_ends(EdgeIndex edge, Fate fate) {
  const Time now = calls_.agenda.now();
  at_edge_.reset();
  calls_.trace.note(now, "call= ends at edge= fate=", number_, edge + 1,
                    static_cast<unsigned>(fate));
  const auto failed = [&](Errc why, Begun begun) {
    if (begun == Begun::unknown) unknown_ = true;
    if (why == Errc::deadline_exceeded) deadline_told_ = true;
    last_failure_ = why;
    take(plan_->edge_failed(edge, why, begun, ready(), now));
  };
  switch (fate) {
    case Fate::answered: edge_answered_ = edge; return take(plan_->edge_answered(edge, now));
    case Fate::not_taken: return failed(Errc::overloaded, Begun::no);
    case Fate::too_large: too_large_ = true; return failed(Errc::invalid_argument, Begun::no);
    case Fate::failed:
      return failed(calls_.random.chance(500) ? Errc::deadline_exceeded : Errc::resource_exhausted,
                    Begun::yes);
    case Fate::lost_before:
    case Fate::lost_after: return failed(Errc::unreachable, Begun::unknown);
  }
}

void OneCall::cancel_edge(EdgeIndex edge) {
  Random& random = calls_.random;
  if (at_edge_ != edge) broken("gives up a run at an edge where there is none");
  edge_cancelled_ = true;
  if (!gave_up_ && !(rules_.deadline && calls_.agenda.now() >= *rules_.deadline) && !hedge_ended_)
    slow_ = true;
  // The answer may be on its way; otherwise the edge says soon that it has given up, with what it
  // knows of the run.
  const std::uint64_t run = edge_run_;
  calls_.agenda.after(random.between(Duration(0), kGivesUp), [this, run, edge] {
    if (run != edge_run_ || !at_edge_) return;
    const bool began =
        fate_ == Fate::answered || fate_ == Fate::failed || fate_ == Fate::lost_after;
    at_edge_.reset();
    const Begun begun = calls_.random.chance(300) ? Begun::unknown : began ? Begun::yes : Begun::no;
    if (begun == Begun::unknown) unknown_ = true;
    last_failure_ = Errc::cancelled;
    take(plan_->edge_failed(edge, Errc::cancelled, begun, ready(), calls_.agenda.now()));
  });
}

void OneCall::run_here() {
  if (at_edge_ || here_) broken("runs here while another run uses its arguments");
  here_ = true;
  const std::uint64_t run = ++here_run_;
  ran();
  calls_.agenda.after(calls_.random.skewed(microseconds(100), milliseconds(200)), [this, run] {
    if (run == here_run_) here_ends();
  });
}

void OneCall::here_ends() {
  if (!std::exchange(here_, false)) return;
  here_ended_ = true;
  take(plan_->here_ended(calls_.agenda.now()));
}

void OneCall::run_hedge() {
  Random& random = calls_.random;
  if (was_hedged_) broken("is hedged a second time");
  if (!rules_.hedge) broken("is hedged and did not ask for it");
  was_hedged_ = hedge_ = true;
  ran();
  calls_.agenda.after(random.skewed(microseconds(100), milliseconds(200)), [this] {
    if (!hedge_ || told_) return;
    const bool usable = !calls_.random.chance(100);
    hedge_ = false;
    if (usable) hedge_ended_ = calls_.agenda.now();
    take(plan_->hedge_ended(usable ? CallPlan::Hedge::usable : CallPlan::Hedge::unusable, ready(),
                            calls_.agenda.now()));
  });
}

void OneCall::told() {
  const Time now = calls_.agenda.now();
  told_ = true;
  const CallPlan::Told& told = plan_->told();
  calls_.trace.note(now, "call= told, source= failure=", number_,
                    static_cast<unsigned>(told.source), static_cast<unsigned>(told.failure));
  if (!plan_->over()) broken("was told and is not over");
  if (at_edge_ || here_) broken("was told while a run used its arguments");
  if (hedge_) broken("was told and its hedge goes on");
  // Whoever is told late has asked somebody to give up in time.
  for (const std::optional<Time>& due : {rules_.deadline, gave_up_})
    if (due && now > *due + kGivesUp && runs_ != 0) broken("was told long after it was due");
  if (told.source == Source::failure) {
    ++calls_.seen.failed;
    check_failure(told.failure);
    return;
  }
  ++calls_.seen.ok;
  // A hedge that has won is told once the edge has let go of the arguments.
  const bool won = told.source == Source::hedge && hedge_ended_;
  const Time ended = won ? *hedge_ended_ : now;
  if (rules_.deadline && ended >= *rules_.deadline) broken("has a result after its deadline");
  // A body here is not torn down, and what it has done by then is worth telling.
  if (gave_up_ && ended > *gave_up_ && told.source != Source::here)
    broken("has a result after it was given up");
  const bool right =
      (told.source == Source::edge && edge_answered_ == told.edge && !hedge_ended_) ||
      (told.source == Source::here && here_ended_) || won;
  if (!right) broken("was told the result of a run that gave none, or was not the first");
}

void OneCall::check_failure(Errc why) {
  const Time now = calls_.agenda.now();
  const bool late = rules_.deadline && now >= *rules_.deadline;
  if (why == Errc::cancelled && gave_up_) return;
  if (why == Errc::deadline_exceeded && late) return;
  if (why == Errc::interrupted) {
    if (pure()) broken("is pure and was interrupted");
    if (!unknown_) broken("was interrupted, and it is known what became of it");
    return;
  }
  // An edge is told how long it has, and may be the first to see that time is up.
  if (why == Errc::deadline_exceeded && rules_.deadline && deadline_told_) return;
  if (gave_up_ || late) return broken("failed for another reason than that it was given up");
  // What a run said that had begun is final for a call with effects.
  if (!pure() && runs_ == 1 && last_failure_ == why) return;
  if (rules_.fallback == Fallback::here) return broken("failed, and could have been run here");
  const bool others = (ready() & ~tried_) != 0;
  if (others && !slow_ && !too_large_ && !deadline_told_)
    broken("failed, and could have been run at another edge");
}

}  // namespace

RunResult run_calls(const RunOptions& options) { return Calls(options).run(); }

}  // namespace aloft::sim
