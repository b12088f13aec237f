#include "oracle.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

namespace aloft::bench {
namespace {

// From here on a connection is as cold as it gets: several seconds even at the fastest pace.
constexpr std::size_t kCold = 100;
// In favour of fewer switches where nothing else speaks for either.
constexpr double kSwitch = 1e-6;  // ms

}  // namespace

Plan best_latency(const World& world) {
  const std::size_t frames = world.size();
  // State k: the last call at the edge was k frames ago. The first frame finds a cold connection.
  std::vector<std::vector<bool>> at_edge(frames, std::vector<bool>(kCold + 1));
  std::vector<double> next(kCold + 1, 0);
  std::vector<double> now(kCold + 1);
  // On the device's clock, of frames that ran here.
  std::vector<double> passed(frames + 1, 0);
  for (std::size_t i = 0; i < frames; ++i)
    passed[i + 1] = passed[i] + world.slot_ms(world.here_ms(i));
  const auto idle_ms = [&](std::size_t frame, std::size_t since) {
    if (since >= kCold || since > frame) return 1e12;
    return passed[frame] - passed[frame - since + 1];
  };
  for (std::size_t frame = frames; frame-- > 0;) {
    for (std::size_t since = 1; since <= kCold; ++since) {
      const double here =
          world.here_ms(frame) + next[std::min(since + 1, kCold)] + (since == 1 ? kSwitch : 0);
      // While the edge is away, calls for it run here: nobody is said to be there.
      const double edge = world.ready(frame) ? world.edge(frame, idle_ms(frame, since)).latency_ms +
                                                   next[1] + (since > 1 ? kSwitch : 0)
                                             : std::numeric_limits<double>::infinity();
      at_edge[frame][since] = edge < here;
      now[since] = std::min(here, edge);
    }
    std::swap(now, next);
  }
  Plan plan;
  plan.places.reserve(frames);
  std::size_t since = kCold;
  double total = 0;
  for (std::size_t frame = 0; frame < frames; ++frame) {
    const bool edge = at_edge[frame][since];
    total += edge ? world.edge(frame, idle_ms(frame, since)).latency_ms : world.here_ms(frame);
    plan.places.push_back(edge ? Place::edge : Place::here);
    if (frame > 0 && plan.places[frame] != plan.places[frame - 1]) ++plan.switches;
    since = edge ? 1 : std::min(since + 1, kCold);
  }
  plan.mean_ms = frames > 0 ? total / static_cast<double>(frames) : 0;
  return plan;
}

double best_rate_below(const World& world, const DevicePower& power, double limit_celsius) {
  constexpr double kStep = 0.1;
  // A degree too many for one frame costs as much as a long time: it is suffered only where nothing
  // else can be done.
  constexpr double kExcess = 1e5;  // ms
  const double hottest = limit_celsius + 15;
  const auto states = static_cast<std::size_t>((hottest - Heat::kAir) / kStep) + 1;
  // What one frame does in one place.
  struct Effect {
    double time_ms;
    double end_celsius;  // it nears this
    double kept;         // of the distance to it
    [[nodiscard]] double after(double celsius) const {
      return end_celsius + (celsius - end_celsius) * kept;
    }
  };
  const auto effect = [&](double time_ms, const FrameEnergy& energy) {
    const double watts = power.idle_watts + energy.at_processor(power) / time_ms;
    return Effect{.time_ms = time_ms,
                  .end_celsius = Heat::kAir + Heat::kResistance * watts,
                  .kept = std::exp(-time_ms / Heat::kTimeConstant)};
  };
  std::vector<std::vector<float>> value(world.size() + 1, std::vector<float>(states, 0));
  const auto value_at = [&](std::size_t frame, double celsius) {
    const double place =
        std::clamp((celsius - Heat::kAir) / kStep, 0.0, static_cast<double>(states - 1));
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, states - 1);
    return std::lerp(static_cast<double>(value[frame][below]),
                     static_cast<double>(value[frame][above]), place - static_cast<double>(below));
  };
  const auto cost = [&](std::size_t frame, const Effect& of, double celsius) {
    const double after = of.after(celsius);
    return of.time_ms + kExcess * std::max(0.0, after - limit_celsius) + value_at(frame + 1, after);
  };
  const auto effects = [&](std::size_t frame) {
    const double here_ms = world.here_ms(frame);
    const Effect here = effect(here_ms, {.here_ms = here_ms});
    if (!world.ready(frame)) return std::pair(here, here);
    const World::EdgeCall edge = world.edge(frame, 0);
    return std::pair(
        here, effect(edge.latency_ms, edge.failed ? FrameEnergy{.here_ms = here_ms}
                                                  : FrameEnergy{.wait_ms = edge.latency_ms}));
  };
  for (std::size_t frame = world.size(); frame-- > 0;) {
    const auto [here, edge] = effects(frame);
    for (std::size_t state = 0; state < states; ++state) {
      const double celsius = Heat::kAir + kStep * static_cast<double>(state);
      value[frame][state] =
          static_cast<float>(std::min(cost(frame, here, celsius), cost(frame, edge, celsius)));
    }
  }
  double celsius = Heat::kAir + Heat::kResistance * power.idle_watts;
  double total_ms = 0;
  for (std::size_t frame = 0; frame < world.size(); ++frame) {
    const auto [here, edge] = effects(frame);
    const Effect& taken = cost(frame, edge, celsius) < cost(frame, here, celsius) ? edge : here;
    celsius = taken.after(celsius);
    total_ms += taken.time_ms;
  }
  return total_ms > 0 ? static_cast<double>(world.size()) * 1e3 / total_ms : 0;
}

}  // namespace aloft::bench
