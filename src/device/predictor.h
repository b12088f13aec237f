// Predicts how a call will go, here and at the edge: what policies that need forecasts are told.
//
// Learns online, for each function and place, from calls that have ended, from what links say while
// no call goes there, and from looks at the device. A forecast for the edge is composed of parts
// that are known apart, so that it follows a change of the link before any call has met it:
//
//     edge  =  round trip  +  bytes on the wire * pace of the link  +  queue and run there
//     here  =  run here, scaled by the processor that is left  +  calls ahead of it
//
// Each part is tracked by quantiles over recent observations. docs/policies.md has the formulas.
//
// Pure: times are passed in, nothing is read from a clock, a file or a socket; the simulator drives
// this very class. Thread rule: one thread at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device/exploration.h"
#include "device/recent.h"
#include "device/run_times.h"
#include "device/trend.h"
#include <aloft/call_record.h>
#include <aloft/forecast.h>
#include <aloft/policy.h>

namespace aloft::device {

class Predictor {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Seconds = std::chrono::duration<double>;

  // What the link to an edge says of itself, with or without calls on it.
  struct LinkReading {
    bool up = false;
    std::optional<std::chrono::nanoseconds> round_trip{};  // of heartbeats; absent until the first
    std::optional<double> loss{};                          // as LinkState::loss
  };

  // `workers`: calls that run here at a time.
  explicit Predictor(PredictionOptions options = {}, int workers = 1);

  // --- What it learns from. `now` never goes back.
  void on_link(std::uint32_t edge, const LinkReading& reading, Time now);
  // Another interface, another address, another route: what is known of links may be wrong.
  void on_network_change();
  void on_device(const DeviceState& state, Time now);
  // The call is under way from now on; `number` is CallRecord::number.
  void on_decided(const CallContext& context, const Decision& decision, std::uint64_t number,
                  Time now);
  // Ends what on_decided() began. Of the record: number, function, place, latency, input_bytes,
  // here_run, edge_run, edge_queue, tx_bytes, rx_bytes, fell_back, hedged, error.
  void on_ended(const CallRecord& record, Time now);

  // --- What it says: completes a context that has function, number, edge_ready, input_bytes and
  // deadline. `edge`: where the call would go. Forecasts are absent where nothing is known.
  void foresee(CallContext& context, std::uint32_t edge, Time now) const;

  // For reports: exploratory calls so far.
  [[nodiscard]] std::uint64_t tries() const { return tries_; }

 private:
  // A part of a latency, in seconds, by its quantiles.
  struct Part {
    double p50 = 0;
    double p90 = 0;
  };
  struct UnderWay {
    std::uint64_t number = 0;
    Place place = Place::here;
    bool tries = false;
    Time since;
    double predicted = 0;  // seconds, p50; 0: it was not
    double to_beat = 0;    // seconds, p50 at the other place; 0: not known
  };
  struct Function {
    explicit Function(const PredictionOptions& options)
        : exploration(options.explored_calls, options.explored_time) {}
    RunTimes here;                   // runs
    RunTimes edge;                   // runs there
    Recent unanswered;               // seconds without a reply, until there is a first one
    Recent queue;                    // seconds there, before a run
    Recent rest;                     // seconds of small messages beside round trip and run
    Recent sent_part;                // bytes on the wire for each byte of input
    Recent received;                 // bytes of a reply
    std::optional<Time> edge_known;  // when a call at the edge told something last
    std::optional<Time> here_known;
    std::size_t edge_calls = 0;
    Exploration exploration;
    std::optional<Place> place;  // of the last call that was not to try
    std::optional<Time> changed;
    std::vector<UnderWay> under_way;
  };
  struct Link {
    std::optional<double> round_trip;  // seconds
    double round_trip_at_pace = 0;     // when the link's pace was last seen
    double longest = 0;                // round trip, since it last fell to less than half of it
    std::optional<double> loss;
  };

  [[nodiscard]] Function& function(std::string_view name);
  void learn_edge(Function& function, const CallRecord& record, Time now);
  [[nodiscard]] std::optional<Forecast> forecast_here(const Function& function, std::uint64_t bytes,
                                                      Time now) const;
  [[nodiscard]] std::optional<Forecast> forecast_edge(const Function& function, const Link& link,
                                                      std::uint64_t bytes, Time now) const;
  [[nodiscard]] std::optional<Place> worth_a_try(const Function& function,
                                                 const CallContext& context, Time now) const;
  [[nodiscard]] static Seconds cost_of_try(Place place, const CallContext& context);
  [[nodiscard]] double sent_bytes(const Function& function, std::uint64_t bytes) const;
  [[nodiscard]] double room_here() const;
  void hint();
  void look_at_load(const DeviceState& state);

  const PredictionOptions options_;
  const int workers_;
  std::map<std::string, Function, std::less<>> functions_;
  std::vector<Link> links_;
  Recent pace_up_;  // seconds for a byte on the wire
  Recent pace_down_;
  DeviceState device_;
  Trend temperature_;
  double room_when_run_ = 1;           // room_here() while calls ran here last
  std::optional<double> load_;         // percent of all cores, by other programs, smoothed
  std::optional<double> load_hinted_;  // when it was a hint last
  std::optional<double> watts_idle_;
  Recent watts_here_;
  Recent watts_edge_;
  std::uint64_t tries_ = 0;
};

}  // namespace aloft::device
