// The policies that need forecasts. Each is a pure function of its CallContext; docs/policies.md
// says what they do and why their constants are what they are.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>

#include <aloft/policy.h>

namespace aloft {
namespace {

using Seconds = std::chrono::duration<double>;

std::uint64_t microseconds(std::chrono::nanoseconds time) {
  const auto count = std::chrono::duration_cast<std::chrono::microseconds>(time).count();
  return count < 0 ? 0 : static_cast<std::uint64_t>(count);
}
std::uint64_t microjoules(double millijoules) {
  return static_cast<std::uint64_t>(std::llround(std::max(0.0, millijoules) * 1e3));
}
std::uint64_t tenths(double celsius) {
  return static_cast<std::uint64_t>(std::llround(celsius * 10));
}

// Without zeros that say nothing.
std::string shown(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", number);
  return text;
}

// How much better, as a part, the other place has to be for a change: much right after one, little
// when the present place has been kept for a while, so that noise changes nothing and a lasting
// difference, however small, does.
double margin(const CallContext& context) {
  constexpr double kFirst = 0.25;
  constexpr double kLast = 0.02;
  constexpr Seconds kHalf{0.5};
  if (!context.since_change) return kLast;
  return kLast + (kFirst - kLast) * std::exp2(-(*context.since_change / kHalf));
}

// Here or at the edge, by what it costs there; keeps the place of the call before within margin().
struct Choice {
  Place place = Place::here;
  bool kept = false;  // though the other one costs less
};
Choice cheaper(const CallContext& context, double here, double edge) {
  const Place best = edge < here ? Place::edge : Place::here;
  if (!context.before || *context.before == best) return {.place = best, .kept = false};
  const double now = *context.before == Place::here ? here : edge;
  const double then = best == Place::here ? here : edge;
  if (then < now * (1 - margin(context))) return {.place = best, .kept = false};
  return {.place = *context.before, .kept = true};
}

// The number of the place first, then that of the other one.
Reason both(ReasonCode code, Place place, std::uint64_t here, std::uint64_t edge) {
  return place == Place::here ? Reason(code, here, edge) : Reason(code, edge, here);
}

// A call that is made to learn of a place. At the edge it is made here as well from the beginning,
// so that it takes no longer than it would have; but an edge that has never answered is given the
// time of a run here first, since the two would be in each other's way.
Decision try_out(const CallContext& context, Place place) {
  const auto& forecast = place == Place::here ? context.here : context.edge;
  const Reason reason(place == Place::here ? ReasonCode::tries_here : ReasonCode::tries_edge,
                      forecast ? microseconds(forecast->p50) : 0,
                      forecast ? microseconds(forecast->age) : 0);
  Decision decision{.place = place, .reason = reason, .tries = true};
  if (place == Place::edge)
    decision.hedge =
        context.here && !context.edge ? context.here->p50 : std::chrono::nanoseconds(0);
  return decision;
}

class MinLatencyPolicy final : public Policy {
 public:
  [[nodiscard]] Needs needs() const override { return Needs::forecasts; }
  [[nodiscard]] std::string name() const override { return "min_latency"; }
  [[nodiscard]] Decision decide(const CallContext& context) const override {
    if (!context.edge_ready) return {Place::here, ReasonCode::latency_not_ready};
    if (context.try_out) return try_out(context, *context.try_out);
    if (!context.here) return {Place::here, ReasonCode::learns_here};
    if (!context.edge) return {Place::here, ReasonCode::learns_edge};
    const Choice choice =
        cheaper(context, Seconds(context.here->p50).count(), Seconds(context.edge->p50).count());
    const bool here = choice.place == Place::here;
    const auto code = choice.kept
                          ? (here ? ReasonCode::latency_keeps_here : ReasonCode::latency_keeps_edge)
                          : (here ? ReasonCode::latency_here : ReasonCode::latency_edge);
    return {choice.place, both(code, choice.place, microseconds(context.here->p50),
                               microseconds(context.edge->p50))};
  }
};

class MinEnergyPolicy final : public Policy {
 public:
  [[nodiscard]] Needs needs() const override { return Needs::forecasts; }
  [[nodiscard]] std::string name() const override { return "min_energy"; }
  [[nodiscard]] Decision decide(const CallContext& context) const override {
    if (!context.edge_ready) return {Place::here, ReasonCode::energy_not_ready};
    if (context.try_out) {
      // Without the run here beside it, which would cost what is to be saved.
      Decision decision = try_out(context, *context.try_out);
      decision.hedge.reset();
      return decision;
    }
    if (!context.here || !context.here->millijoules) return {Place::here, ReasonCode::learns_here};
    if (!context.edge || !context.edge->millijoules) return {Place::here, ReasonCode::learns_edge};
    const Choice choice = cheaper(context, *context.here->millijoules, *context.edge->millijoules);
    const bool here = choice.place == Place::here;
    const auto code = choice.kept
                          ? (here ? ReasonCode::energy_keeps_here : ReasonCode::energy_keeps_edge)
                          : (here ? ReasonCode::energy_here : ReasonCode::energy_edge);
    const Reason reason = both(code, choice.place, microjoules(*context.here->millijoules),
                               microjoules(*context.edge->millijoules));
    const bool measured = context.here->energy_measured && context.edge->energy_measured;
    return {choice.place, measured ? reason : reason.also(ReasonCode::energy_model)};
  }
};

class DeadlinePolicy final : public Policy {
 public:
  DeadlinePolicy(std::chrono::nanoseconds deadline, std::shared_ptr<Policy> inner)
      : deadline_(deadline), inner_(inner ? std::move(inner) : local_policy()) {}

  [[nodiscard]] Needs needs() const override { return Needs::forecasts; }
  [[nodiscard]] std::string name() const override {
    return "deadline:" + shown(Seconds(deadline_).count() * 1e3) + "ms:" + inner_->name();
  }
  [[nodiscard]] Decision decide(const CallContext& context) const override {
    const Decision wanted = inner_->decide(context);
    if (wanted.tries) return wanted;
    if (!context.edge_ready) return {Place::here, ReasonCode::deadline_not_ready};
    if (context.try_out) return try_out(context, *context.try_out);
    if (!context.here) return {Place::here, ReasonCode::learns_here};
    if (!context.edge) return {Place::here, ReasonCode::learns_edge};
    const auto limit = std::min(deadline_, context.deadline.value_or(deadline_));
    const auto meets = [&](Place place) {
      const auto p90 = place == Place::here ? context.here->p90 : context.edge->p90;
      // Where the call before was not, it has to be met with something to spare.
      const double spare = context.before && *context.before != place ? margin(context) : 0;
      return Seconds(p90) <= Seconds(limit) * (1 - spare);
    };
    const Place other = wanted.place == Place::here ? Place::edge : Place::here;
    Place place = wanted.place;
    bool met = meets(wanted.place);
    if (!met && meets(other)) {
      place = other;
      met = true;
    } else if (!met) {
      place =
          cheaper(context, Seconds(context.here->p90).count(), Seconds(context.edge->p90).count())
              .place;
    }
    if (met && place == wanted.place && wanted.reason.code() != ReasonCode::local_always)
      return wanted;
    const bool here = place == Place::here;
    const auto code =
        met ? (here ? ReasonCode::deadline_met_here : ReasonCode::deadline_met_edge)
            : (here ? ReasonCode::deadline_missed_here : ReasonCode::deadline_missed_edge);
    return {place, Reason(code, microseconds(here ? context.here->p90 : context.edge->p90),
                          microseconds(limit))};
  }

 private:
  const std::chrono::nanoseconds deadline_;
  const std::shared_ptr<Policy> inner_;
};

class CoolPolicy final : public Policy {
 public:
  CoolPolicy(double limit, std::shared_ptr<Policy> inner)
      : limit_(limit), inner_(inner ? std::move(inner) : min_latency_policy()) {}

  [[nodiscard]] Needs needs() const override { return Needs::forecasts; }
  [[nodiscard]] std::string name() const override {
    return "cool:" + shown(limit_) + ":" + inner_->name();
  }
  [[nodiscard]] Decision decide(const CallContext& context) const override {
    const auto& celsius = context.device.cpu_celsius;
    if (!celsius) {
      Decision decision = inner_->decide(context);
      decision.reason = decision.reason.also(ReasonCode::cool_no_sensor, tenths(limit_));
      return decision;
    }
    // By how much it is still to rise while this call runs here, and until it is looked at again.
    const double rise = std::max(0.0, context.device.cpu_celsius_per_second.value_or(0));
    const double call = context.here ? Seconds(context.here->p90).count() : 0;
    const double reached = *celsius + rise * (call + kLook.count());
    // A device that had to stop rests until it has cooled down a little.
    const bool rests = context.before == Place::edge;
    const bool hot = reached >= limit_ - kGuard - (rests ? kRest : 0);
    if (!hot) {
      Decision decision = inner_->decide(context);
      if (*celsius >= limit_ - kNear)
        decision.reason =
            decision.reason.also(ReasonCode::cool_near, tenths(*celsius), tenths(limit_));
      return decision;
    }
    const bool ready = context.edge_ready;
    return {ready ? Place::edge : Place::here,
            Reason(ready ? ReasonCode::cool_edge : ReasonCode::cool_not_ready, tenths(*celsius),
                   tenths(limit_))};
  }

 private:
  static constexpr double kGuard = 0.3;  // degrees
  static constexpr double kRest = 0.7;
  static constexpr double kNear = 5;
  static constexpr Seconds kLook{0.1};

  const double limit_;
  const std::shared_ptr<Policy> inner_;
};

}  // namespace

std::shared_ptr<Policy> min_latency_policy() { return std::make_shared<MinLatencyPolicy>(); }
std::shared_ptr<Policy> deadline_policy(std::chrono::nanoseconds deadline,
                                        std::shared_ptr<Policy> inner) {
  return std::make_shared<DeadlinePolicy>(deadline, std::move(inner));
}
std::shared_ptr<Policy> cool_policy(double limit_celsius, std::shared_ptr<Policy> inner) {
  return std::make_shared<CoolPolicy>(limit_celsius, std::move(inner));
}
std::shared_ptr<Policy> min_energy_policy() { return std::make_shared<MinEnergyPolicy>(); }

}  // namespace aloft
