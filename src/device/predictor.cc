#include "device/predictor.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace aloft::device {
namespace {

// From this many bytes on, a message's time says something of the link's bandwidth, and below it
// next to nothing: there a round trip and what the two ends need is all.
constexpr double kBulk = 32 * 1024;
// A round trip that has changed by this much is a hint that the link is another one.
constexpr double kRoundTripHint = 1.3;
// One that has fallen by this much is more than a hint: what was known of the edge is out of date.
// Where it is short anyhow, it falls by much all the time, and that says nothing.
constexpr double kRoundTripNews = 2;
constexpr double kLeastNews = 1e-3;  // seconds
// A hedged try that lost took at least as long as the winner; how much longer, nobody knows.
constexpr double kLostTry = 1.25;
// Percent of all cores that other programs take more or less, and how much the newest look counts.
constexpr double kLoadHint = 10;
constexpr double kLoadWeight = 0.2;
// What is under way for longer is not, any more.
constexpr std::chrono::minutes kLongestCall{1};

double seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}
std::chrono::nanoseconds nanoseconds(double time) {
  return std::chrono::nanoseconds(static_cast<std::int64_t>(time * 1e9));
}

// What the processor's clock leaves of its full speed. What other programs take shows in the runs.
double room(const DeviceState& device) {
  return std::clamp(device.cpu_speed.value_or(1.0), 0.05, 1.0);
}

}  // namespace

Predictor::Predictor(PredictionOptions options, int workers)
    : options_(options), workers_(std::max(1, workers)) {}

double Predictor::room_here() const { return room(device_); }

Predictor::Function& Predictor::function(std::string_view name) {
  const auto found = functions_.find(name);
  if (found != functions_.end()) return found->second;
  return functions_.try_emplace(std::string(name), options_).first->second;
}

// --- Learning

void Predictor::hint() {
  for (auto& [name, each] : functions_) each.exploration.hint();
}

void Predictor::on_link(std::uint32_t edge, const LinkReading& reading, Time) {
  if (links_.size() <= edge) links_.resize(edge + 1);
  Link& link = links_[edge];
  link.loss = reading.loss;
  if (!reading.up) {
    link.round_trip.reset();
    return;
  }
  const bool is_new = !link.round_trip && reading.round_trip;
  if (reading.round_trip) link.round_trip = seconds(*reading.round_trip);
  const double then = link.round_trip_at_pace;
  if (is_new || (then > 0 && link.round_trip &&
                 std::max(*link.round_trip / then, then / *link.round_trip) > kRoundTripHint)) {
    hint();
  }
  if (!link.round_trip) return;
  link.longest = std::max(link.longest, *link.round_trip);
  const bool much = *link.round_trip * kRoundTripNews < link.longest &&
                    *link.round_trip + kLeastNews < link.longest;
  if (!is_new && !much) return;
  link.longest = *link.round_trip;  // each fall is told once
  for (auto& [name, each] : functions_) {
    if (each.place == Place::here) each.exploration.news();
  }
}

// Only a hint: routes and addresses are renewed all the time, and a link that does not outlive a
// change comes up anew, with a round trip of its own.
void Predictor::on_network_change() { hint(); }

void Predictor::on_device(const DeviceState& state, Time now) {
  device_ = state;
  if (state.cpu_celsius) {
    temperature_.add(*state.cpu_celsius, now);
    if (!state.cpu_celsius_per_second) device_.cpu_celsius_per_second = temperature_.slope();
  }
  look_at_load(state);
  if (!state.watts) return;
  bool here = false;
  bool edge = false;
  for (const auto& [name, each] : functions_) {
    for (const UnderWay& call : each.under_way) (call.place == Place::here ? here : edge) = true;
  }
  if (here && !edge) watts_here_.add(*state.watts, now);
  if (edge && !here) watts_edge_.add(*state.watts, now);
  if (!here && !edge) watts_idle_ = std::min(watts_idle_.value_or(*state.watts), *state.watts);
}

// How much other programs take from a run here is not known before it is tried: it depends on how
// many threads they have. That they have begun, or ended, is a reason to try.
void Predictor::look_at_load(const DeviceState& state) {
  if (!state.system_cpu_percent) return;
  double others = *state.system_cpu_percent;
  if (state.process_cpu_percent && state.cpu_cores)
    others = std::max(0.0, others - *state.process_cpu_percent / *state.cpu_cores);
  load_ = load_ ? *load_ + kLoadWeight * (others - *load_) : others;
  if (!load_hinted_) load_hinted_ = load_;
  if (std::abs(*load_ - *load_hinted_) < kLoadHint) return;
  load_hinted_ = load_;
  hint();
}

void Predictor::on_decided(const CallContext& context, const Decision& decision,
                           std::uint64_t number, Time now) {
  Function& its = function(context.function);
  // The end of a call is not told while no policy asks.
  std::erase_if(its.under_way,
                [&](const UnderWay& call) { return now - call.since > kLongestCall; });
  const auto& its_forecast = decision.place == Place::here ? context.here : context.edge;
  const auto& other = decision.place == Place::here ? context.edge : context.here;
  its.under_way.push_back({.number = number,
                           .place = decision.place,
                           .tries = decision.tries,
                           .since = now,
                           .predicted = its_forecast ? seconds(its_forecast->p50) : 0,
                           .to_beat = other ? seconds(other->p50) : 0});
  if (decision.tries) {
    ++tries_;
    its.exploration.spend(cost_of_try(decision.place, context));
    return;
  }
  if (its.place != decision.place) {
    its.changed = now;
    // The place that was left is looked at again soon: the reason to leave it may have passed.
    its.exploration.hint();
  }
  its.place = decision.place;
}

void Predictor::on_ended(const CallRecord& record, Time now) {
  Function& its = function(record.function);
  UnderWay call;
  if (const auto found = std::ranges::find(its.under_way, record.number, &UnderWay::number);
      found != its.under_way.end()) {
    call = *found;
    its.under_way.erase(found);
  }
  its.exploration.earn(record.latency);
  if (record.error) return;
  if (record.place == Place::here) {
    const double run = seconds(record.here_run.count() != 0 ? record.here_run : record.latency);
    if (!record.hedged) {
      its.here.add(record.input_bytes, run, now);
      its.here_known = now;
      room_when_run_ = room_here();
    }
  }
  if (record.place == Place::edge || record.hedged || record.fell_back)
    learn_edge(its, record, now);
  if (call.tries) {
    const bool better =
        record.place == call.place && !record.fell_back && seconds(record.latency) < call.to_beat;
    if (!better) {
      its.exploration.in_vain();
    } else if (call.predicted >= call.to_beat) {
      its.exploration.found_better();
    } else {
      its.exploration.as_expected();
    }
  }
}

void Predictor::learn_edge(Function& its, const CallRecord& record, Time now) {
  its.edge_known = now;
  double took = seconds(record.latency);
  Link* link = nullptr;
  const std::uint32_t edge = record.location.is_here() ? 0 : record.location.number() - 1;
  if (edge < links_.size()) link = &links_[edge];
  const double round_trip = link != nullptr ? link->round_trip.value_or(0) : 0;
  double sent = static_cast<double>(record.tx_bytes);
  double received = static_cast<double>(record.rx_bytes);
  double at_edge = seconds(record.edge_run) + seconds(record.edge_queue);
  if (record.place == Place::edge) {
    its.edge.add(record.input_bytes, seconds(record.edge_run), now);
    its.queue.add(seconds(record.edge_queue), now);
    its.received.add(received, now);
    if (record.input_bytes > 0)
      its.sent_part.add(sent / static_cast<double>(record.input_bytes), now);
    ++its.edge_calls;
  } else {
    // It gave nothing back in this time. Only worse than expected is news.
    if (record.fell_back) took = std::max(0.0, took - seconds(record.here_run));
    took *= kLostTry;
    const auto run = its.edge.estimate(record.input_bytes);
    if (!run) return its.unanswered.add(took, now);
    at_edge = run->p50 + its.queue.quantile(0.5);
    sent = sent_bytes(its, record.input_bytes);
    received = its.received.quantile(0.5);
    const double known = link == nullptr ? 0
                                         : round_trip + sent * pace_up_.quantile(0.5) +
                                               received * pace_down_.quantile(0.5) + at_edge;
    if (took < known) return;
  }
  const double rest = std::max(0.0, took - at_edge - round_trip);
  if (sent + received < kBulk) {
    its.rest.add(rest, now);
  } else {
    // What is large in one direction says nothing of the other one.
    if (4 * sent >= received) pace_up_.add(rest / (sent + received), now);
    if (4 * received >= sent) pace_down_.add(rest / (sent + received), now);
    if (link != nullptr) link->round_trip_at_pace = round_trip;
  }
}

// --- Saying

double Predictor::sent_bytes(const Function& its, std::uint64_t bytes) const {
  return static_cast<double>(bytes) * (its.sent_part.empty() ? 1 : its.sent_part.quantile(0.5));
}

void Predictor::foresee(CallContext& context, std::uint32_t edge, Time now) const {
  context.device = device_;
  const Link link = edge < links_.size() ? links_[edge] : Link{};
  if (link.round_trip) context.link.round_trip = nanoseconds(*link.round_trip);
  context.link.loss = link.loss;
  if (const double pace = pace_up_.quantile(0.5); pace > 0) context.link.uplink = 1 / pace;
  if (const double pace = pace_down_.quantile(0.5); pace > 0) context.link.downlink = 1 / pace;
  const auto found = functions_.find(context.function);
  if (found == functions_.end()) {
    return;
  }
  const Function& its = found->second;
  context.before = its.place;
  if (its.changed) context.since_change = now - *its.changed;
  context.here = forecast_here(its, context.input_bytes, now);
  if (context.edge_ready) context.edge = forecast_edge(its, link, context.input_bytes, now);
  context.try_out = worth_a_try(its, context, now);
}

std::optional<Forecast> Predictor::forecast_here(const Function& its, std::uint64_t bytes,
                                                 Time now) const {
  const auto run = its.here.estimate(bytes);
  if (!run) return std::nullopt;
  // A processor that is slower now than when calls ran here last takes longer.
  const double scale = room_when_run_ / room_here();
  std::size_t ahead = 0;
  for (const UnderWay& call : its.under_way) ahead += call.place == Place::here ? 1U : 0U;
  const double waiting = static_cast<double>(ahead / static_cast<std::size_t>(workers_));
  const double p50 = run->p50 * scale * (1 + waiting);
  Forecast forecast{.p50 = nanoseconds(p50),
                    .p90 = nanoseconds(p50 + (run->p90 - run->p50) * scale),
                    .millijoules = options_.energy.busy_core_watts * run->p50 * scale * 1e3,
                    .observations = static_cast<std::uint32_t>(run->observations),
                    .age = now - run->last};
  if (watts_idle_ && !watts_here_.empty()) {
    forecast.millijoules =
        std::max(0.0, watts_here_.quantile(0.5) - *watts_idle_) * run->p50 * scale * 1e3;
    forecast.energy_measured = true;
  }
  return forecast;
}

std::optional<Forecast> Predictor::forecast_edge(const Function& its, const Link& link,
                                                 std::uint64_t bytes, Time now) const {
  const auto run = its.edge.estimate(bytes);
  if (!its.edge_known || (!run && its.unanswered.empty())) return std::nullopt;
  if (!run) {
    return Forecast{.p50 = nanoseconds(its.unanswered.quantile(1)),
                    .p90 = nanoseconds(its.unanswered.quantile(1)),
                    .observations = 0,
                    .age = now - *its.edge_known};
  }
  const double sent = sent_bytes(its, bytes);
  const double received = its.received.quantile(0.5);
  const auto part = [](const Recent& recent, double times) {
    return Part{times * recent.quantile(0.5), times * recent.quantile(0.9)};
  };
  // Parts vary independently of each other: their spreads add by squares.
  double p50 = link.round_trip.value_or(0);
  double spread = 0;
  const auto add = [&](const Part& one) {
    p50 += one.p50;
    spread += (one.p90 - one.p50) * (one.p90 - one.p50);
  };
  add({run->p50, run->p90});
  add(part(its.queue, 1));
  if (sent + received < kBulk) {
    add(part(its.rest, 1));
  } else {
    // Calls share what the link carries; TCP's rate falls as its round trip grows, so a link whose
    // round trip has grown since its pace was seen is taken to be as much slower.
    double slower = 1;
    if (link.round_trip && link.round_trip_at_pace > 0)
      slower = std::clamp(*link.round_trip / link.round_trip_at_pace, 1.0, 4.0);
    const Recent& up = pace_up_.empty() ? pace_down_ : pace_up_;
    const Recent& down = pace_down_.empty() ? pace_up_ : pace_down_;
    add(part(up, sent * slower));
    add(part(down, received * slower));
  }
  // A call that is under way there for longer says more than those that have ended.
  for (const UnderWay& call : its.under_way) {
    if (call.place == Place::edge)
      p50 = std::max(p50, std::chrono::duration<double>(now - call.since).count());
  }
  const EnergyModel& energy = options_.energy;
  Forecast forecast{
      .p50 = nanoseconds(p50),
      .p90 = nanoseconds(p50 + std::sqrt(spread)),
      .millijoules = energy.waiting_watts * p50 * 1e3 +
                     (sent * energy.sent_nanojoules + received * energy.received_nanojoules) * 1e-6,
      .observations = static_cast<std::uint32_t>(its.edge_calls),
      .age = now - *its.edge_known};
  if (watts_idle_ && !watts_edge_.empty()) {
    forecast.millijoules = std::max(0.0, watts_edge_.quantile(0.5) - *watts_idle_) * p50 * 1e3;
    forecast.energy_measured = true;
  }
  return forecast;
}

// A try at the edge is hedged here at once: beyond its share of the link it costs next to nothing.
// One at an edge that has never answered has the time of a run here first.
Predictor::Seconds Predictor::cost_of_try(Place place, const CallContext& context) {
  if (place == Place::edge && !context.edge && context.here)
    return std::min<Seconds>(context.here->p50, Exploration::kFirstTime);
  if (place == Place::edge || !context.here || !context.edge) return Seconds(0);
  return context.here->p50 - context.edge->p50;
}

std::optional<Place> Predictor::worth_a_try(const Function& its, const CallContext& context,
                                            Time now) const {
  if (!context.before || !context.edge_ready) return std::nullopt;
  const Place other = *context.before == Place::here ? Place::edge : Place::here;
  const auto& known = other == Place::edge ? its.edge_known : its.here_known;
  // A place that nobody has met is met with the first call that the budget allows.
  const Time known_at = known.value_or(now - std::chrono::hours(1));
  // What is predicted to be faster needs decisions, and no tries one after the other.
  const auto& of_other = other == Place::here ? context.here : context.edge;
  const auto& of_used = other == Place::here ? context.edge : context.here;
  const bool faster = of_other && of_used && of_other->p50 < of_used->p50;
  const auto expected = faster ? Exploration::Expected::better : Exploration::Expected::worse;
  if (!its.exploration.due(now, known_at, cost_of_try(other, context), expected))
    return std::nullopt;
  return other;
}

}  // namespace aloft::device
