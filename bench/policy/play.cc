#include "play.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "device/predictor.h"
#include "device/trend.h"

namespace aloft::bench {
namespace {

using device::Predictor;
using std::chrono::nanoseconds;

constexpr std::chrono::milliseconds kLook{100};  // between two looks at the device
constexpr double kHeads = 100;                   // bytes of heads, for each message

nanoseconds time_of(double ms) { return nanoseconds(static_cast<std::int64_t>(ms * 1e6)); }

// What the device's sensors say, looked at now and then, as the Notifier does.
class Sensors {
 public:
  [[nodiscard]] std::optional<DeviceState> look(Predictor::Time now, double celsius, double speed,
                                                double others_percent) {
    if (looked_ && now - *looked_ < kLook) return std::nullopt;
    looked_ = now;
    warming_.add(celsius, now);
    return DeviceState{.cpu_celsius = celsius,
                       .cpu_celsius_per_second = warming_.slope(),
                       .system_cpu_percent = others_percent,
                       .cpu_speed = speed};
  }

 private:
  std::optional<Predictor::Time> looked_;
  device::Trend warming_;
};

// How one call went.
struct Outcome {
  CallRecord record;
  FrameEnergy energy;
  bool failed = false;
};

class Player {
 public:
  Player(const Policy& policy, const World& world, const PlayOptions& options)
      : policy_(policy), world_(world), options_(options) {}

  Played run() {
    played_.frames.reserve(world_.size());
    for (std::size_t i = 0; i < world_.size(); ++i) frame(i);
    sum_up();
    return std::move(played_);
  }

 private:
  [[nodiscard]] Predictor::Time now() const { return Predictor::Time(time_of(clock_ms_)); }

  void frame(std::size_t i) {
    predictor_.on_link(
        0, {.up = world_.ready(i), .round_trip = time_of(world_.smoothed_round_trip_ms(i))}, now());
    if (const auto state =
            sensors_.look(now(), celsius_, world_.device_speed(i), world_.others_cpu_percent(i)))
      predictor_.on_device(*state, now());
    CallContext context{.function = world_.workload().name,
                        .number = i,
                        .edge_ready = world_.ready(i),
                        .input_bytes = static_cast<std::uint64_t>(world_.workload().input_bytes)};
    const bool told = policy_.needs() == Needs::forecasts;
    if (told) predictor_.foresee(context, 0, now());
    const Decision decision = policy_.decide(context);
    if (told) predictor_.on_decided(context, decision, i, now());
    const Outcome outcome = call(i, decision);
    const double latency_ms =
        std::chrono::duration<double, std::milli>(outcome.record.latency).count();
    if (told) predictor_.on_ended(outcome.record, now() + outcome.record.latency);

    const double slot_ms =
        options_.pace == PlayOptions::Pace::at_once ? latency_ms : world_.slot_ms(latency_ms);
    const double millijoules = outcome.energy.millijoules(options_.power, world_.workload());
    // Spread over the frame: what is uneven within one is over in a fraction of a second.
    const double watts =
        options_.power.idle_watts + outcome.energy.at_processor(options_.power) / slot_ms;
    celsius_ = Heat::after(celsius_, watts, slot_ms);
    clock_ms_ += slot_ms;
    if (outcome.energy.sent) sent_until_ms_ = clock_ms_;
    played_.millijoules += millijoules;
    played_.failed += outcome.failed ? 1U : 0U;
    played_.frames.push_back({.decided = decision.place,
                              .tries = decision.tries,
                              .place = outcome.record.place,
                              .latency_ms = latency_ms,
                              .celsius = celsius_,
                              .ready = world_.ready(i)});
  }

  Outcome call(std::size_t i, const Decision& decision) {
    Outcome outcome;
    CallRecord& record = outcome.record;
    record.number = i;
    record.function = world_.workload().name;
    record.reason = decision.reason;
    record.input_bytes = static_cast<std::uint64_t>(world_.workload().input_bytes);
    const double here_ms = world_.here_ms(i);
    const auto ended_here = [&](double latency_ms) {
      record.place = Place::here;
      record.latency = time_of(latency_ms);
      record.here_run = time_of(here_ms);
      outcome.energy.here_ms = here_ms;
    };
    if (decision.place == Place::here || !world_.ready(i)) {
      ended_here(here_ms);
      return outcome;
    }
    const World::EdgeCall edge =
        world_.edge(i, sent_until_ms_ ? clock_ms_ - *sent_until_ms_ : 1e12);
    outcome.energy.sent = true;
    outcome.failed = edge.failed;
    record.tx_bytes = static_cast<std::uint64_t>(world_.workload().input_bytes + kHeads);
    record.edges_tried = 1;
    const double hedge_ms =
        decision.hedge ? std::chrono::duration<double, std::milli>(*decision.hedge).count() : 1e18;
    if (hedge_ms + here_ms <= edge.latency_ms) {
      ended_here(hedge_ms + here_ms);
      record.hedged = true;
      outcome.energy.wait_ms = hedge_ms;
      return outcome;
    }
    if (edge.failed) {
      ended_here(edge.latency_ms);
      record.fell_back = true;
      outcome.energy.wait_ms = edge.latency_ms - here_ms;
      return outcome;
    }
    record.place = Place::edge;
    record.location = Location::edge();
    record.latency = time_of(edge.latency_ms);
    record.edge_run = time_of(edge.run_ms);
    record.edge_queue = time_of(edge.queue_ms);
    record.rx_bytes = static_cast<std::uint64_t>(world_.workload().reply_bytes + kHeads);
    outcome.energy.wait_ms = edge.latency_ms;
    // The run here beside it is given up when the reply is there.
    outcome.energy.here_ms = std::max(0.0, edge.latency_ms - hedge_ms);
    return outcome;
  }

  void sum_up() {
    std::vector<double> latencies;
    std::optional<Place> before;
    for (const FramePlayed& each : played_.frames) {
      played_.mean_ms += each.latency_ms;
      latencies.push_back(each.latency_ms);
      if (each.tries) {
        ++played_.tries;
        continue;
      }
      if (before && *before != each.decided) ++played_.switches;
      before = each.decided;
    }
    const auto count = static_cast<double>(std::max<std::size_t>(1, latencies.size()));
    played_.mean_ms /= count;
    played_.millijoules /= count;
    played_.seconds = (clock_ms_ - kBegin) / 1e3;
    if (latencies.empty()) return;
    const auto nth = latencies.begin() + static_cast<std::ptrdiff_t>(0.9 * (count - 1));
    std::nth_element(latencies.begin(), nth, latencies.end());
    played_.p90_ms = *nth;
  }

  const Policy& policy_;
  const World& world_;
  const PlayOptions options_;
  Predictor predictor_;
  Sensors sensors_;
  static constexpr double kBegin = 3600e3;  // not 0: no time is a special one
  double clock_ms_ = kBegin;
  std::optional<double> sent_until_ms_;
  double celsius_ = Heat::kAir + Heat::kResistance * DevicePower{}.idle_watts;
  Played played_;
};

}  // namespace

Played play(const Policy& policy, const World& world, const PlayOptions& options) {
  return Player(policy, world, options).run();
}

}  // namespace aloft::bench
