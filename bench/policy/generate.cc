#include "generate.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "chance.h"

namespace aloft::bench {
namespace {

constexpr double kStep = 0.05;  // seconds

// A way a link can be for a while.
struct Radio {
  double dwell_s;  // mean
  double round_trip_ms;
  double uplink_mbps;
  double downlink_mbps;
  int kind;  // of network: between two kinds there is a hand-over
};

// Between two cells, access points or kinds of network.
struct HandOvers {
  double every_s = 0;  // mean; 0: none but those between kinds
  double same_ms = 0;  // for how long traffic is held up
  double other_ms = 0;
};

struct Outages {
  double every_s = 0;  // mean; 0: none
  double shortest_s = 0;
  double longest_s = 0;
};

// Phases of load, each drawn anew.
struct Phases {
  double dwell_s = 0;  // mean; 0: one for ever
  std::vector<double> levels{1};
};

struct Scenario {
  std::string_view name;
  std::vector<Radio> radios;  // one after the other, at random
  double round_trip_wanders = 0.15;
  double rate_wanders = 0.3;
  double memory_s = 8;
  HandOvers hand_overs{};
  Outages outages{};
  Phases device{};  // other programs on the device
  Phases speed{};   // its frequency
  Phases edge{};    // other tenants of the edge
  Scatter scatter{.here = 0.06, .edge = 0.1, .round_trip = 0.25, .transfer = 0.12};
};

constexpr int kWifi = 0;
constexpr int kLte = 1;
constexpr int kNr = 2;

// Radios of Wi-Fi by how busy the air is. Together, as often as wifi_campus meets them, they give
// the published percentiles.
constexpr Radio kCalmAir{40, 2.4, 80, 80, kWifi};
constexpr Radio kBusyAir{18, 16, 12, 15, kWifi};
constexpr Radio kFullAir{7, 190, 1.6, 2.5, kWifi};
// LTE around its medians: near a mast, between, at the edge of a cell.
constexpr Radio kNearMast{25, 48, 18, 30, kLte};
constexpr Radio kMidCell{25, 70, 6, 13, kLte};
constexpr Radio kCellEdge{15, 130, 1.4, 4, kLte};
constexpr Radio kMidBand{30, 24, 95, 350, kNr};
constexpr Radio kMidBandFar{15, 34, 22, 90, kNr};
constexpr Radio kMillimetre{12, 18, 140, 900, kNr};

const Phases kQuietDevice{90, {1, 1, 1, 1.3}};
const Phases kUsedDevice{45, {1, 1, 1.6, 2.5}};
const Phases kQuietEdge{120, {1, 1, 1.2}};
const Phases kSharedEdge{35, {1, 1, 2.5, 6, 12}};
const Phases kThrottled{70, {1, 1, 0.7, 0.45}};

const std::vector<Scenario>& all() {
  static const std::vector<Scenario> scenarios{
      {.name = "wifi_home",
       .radios = {kCalmAir, {25, 9, 25, 30, kWifi}, {8, 80, 3, 5, kWifi}},
       .device = kUsedDevice,
       .edge = kQuietEdge},
      {.name = "wifi_campus",
       .radios = {kCalmAir, kCalmAir, kBusyAir, kBusyAir, kFullAir},
       .device = kUsedDevice,
       .edge = kQuietEdge},
      {.name = "wifi_crowded",
       .radios = {kBusyAir, kFullAir, {20, 60, 4, 6, kWifi}, kCalmAir},
       .device = kQuietDevice,
       .edge = kQuietEdge},
      {.name = "wifi_roaming",
       .radios = {kCalmAir, kBusyAir, {10, 45, 4, 6, kWifi}},
       .hand_overs = {.every_s = 40, .same_ms = 120},
       .outages = {.every_s = 120, .shortest_s = 0.4, .longest_s = 3},
       .device = kUsedDevice,
       .edge = kQuietEdge},
      {.name = "lte_still",
       .radios = {kNearMast, kMidCell, kMidCell},
       .round_trip_wanders = 0.2,
       .rate_wanders = 0.35,
       .device = kUsedDevice,
       .speed = kThrottled,
       .edge = kQuietEdge},
      {.name = "lte_walk",
       .radios = {kNearMast, kMidCell, kCellEdge},
       .round_trip_wanders = 0.25,
       .rate_wanders = 0.4,
       .hand_overs = {.every_s = 45, .same_ms = 30},
       .device = kUsedDevice,
       .edge = kQuietEdge},
      {.name = "lte_car",
       .radios = {kNearMast, kMidCell, kMidCell, kCellEdge},
       .round_trip_wanders = 0.3,
       .rate_wanders = 0.5,
       .memory_s = 5,
       .hand_overs = {.every_s = 18, .same_ms = 30},
       .outages = {.every_s = 150, .shortest_s = 0.5, .longest_s = 6},
       .device = kUsedDevice,
       .edge = kQuietEdge},
      {.name = "lte_train",
       .radios = {kNearMast, kMidCell, kCellEdge, kCellEdge},
       .round_trip_wanders = 0.3,
       .rate_wanders = 0.5,
       .memory_s = 5,
       .hand_overs = {.every_s = 12, .same_ms = 30},
       .outages = {.every_s = 70, .shortest_s = 3, .longest_s = 25},
       .device = kQuietDevice,
       .edge = kQuietEdge},
      {.name = "nr_still",
       .radios = {kMidBand, kMidBandFar},
       .device = kUsedDevice,
       .edge = kSharedEdge},
      {.name = "nr_walk",
       .radios = {kMidBand, kMidBandFar, kMidCell, kCellEdge},
       .rate_wanders = 0.4,
       .hand_overs = {.every_s = 50, .same_ms = 108, .other_ms = 80},
       .device = kUsedDevice,
       .edge = kQuietEdge},
      {.name = "nr_car",
       .radios = {kMidBand, kMidBandFar, kNearMast, kMidCell, kCellEdge},
       .round_trip_wanders = 0.25,
       .rate_wanders = 0.5,
       .memory_s = 5,
       .hand_overs = {.every_s = 14, .same_ms = 108, .other_ms = 80},
       .outages = {.every_s = 120, .shortest_s = 0.5, .longest_s = 8},
       .device = kQuietDevice,
       .speed = kThrottled,
       .edge = kQuietEdge},
      {.name = "nr_millimetre",
       .radios = {kMillimetre, {6, 60, 5, 12, kLte}, {10, 110, 1.8, 6, kLte}},
       .rate_wanders = 0.5,
       .hand_overs = {.every_s = 10, .same_ms = 108, .other_ms = 80},
       .outages = {.every_s = 60, .shortest_s = 0.3, .longest_s = 2},
       .device = kQuietDevice,
       .edge = kQuietEdge},
      {.name = "edge_shared",
       .radios = {kCalmAir, kCalmAir, kBusyAir},
       .device = kQuietDevice,
       .edge = kSharedEdge},
      {.name = "device_used",
       .radios = {kCalmAir, kMidCell, kMidCell},
       .hand_overs = {.every_s = 0, .other_ms = 300},
       .device = {20, {1, 1.5, 2.5, 4}},
       .speed = kThrottled,
       .edge = kQuietEdge},
  };
  return scenarios;
}

class Dwelling {
 public:
  Dwelling(const Phases& phases, Chance& chance) : phases_(phases), chance_(chance) { draw(); }
  double next(double step_s) {
    left_s_ -= step_s;
    if (left_s_ <= 0 && phases_.dwell_s > 0) draw();
    return level_;
  }

 private:
  void draw() {
    const auto count = static_cast<double>(phases_.levels.size());
    level_ = phases_.levels[static_cast<std::size_t>(chance_.uniform() * count)];
    left_s_ = phases_.dwell_s * chance_.between(0.4, 1.6);
  }
  const Phases& phases_;
  Chance& chance_;
  double level_ = 1;
  double left_s_ = 0;
};

// The radio link over time.
class Air {
 public:
  Air(const Scenario& scenario, Chance& chance)
      : scenario_(scenario),
        chance_(chance),
        round_trip_(scenario.round_trip_wanders, scenario.memory_s),
        rate_(scenario.rate_wanders, scenario.memory_s) {
    change();
    to_hand_over_s_ = drawn(scenario.hand_overs.every_s);
    to_outage_s_ = drawn(scenario.outages.every_s);
  }

  void next(Conditions& row) {
    left_s_ -= kStep;
    double stall = 0;
    if (left_s_ <= 0) {
      const int before = radio_->kind;
      change();
      if (radio_->kind != before) stall = scenario_.hand_overs.other_ms;
    }
    to_hand_over_s_ -= kStep;
    if (to_hand_over_s_ <= 0) {
      stall = std::max(stall, scenario_.hand_overs.same_ms);
      to_hand_over_s_ = drawn(scenario_.hand_overs.every_s);
    }
    to_outage_s_ -= kStep;
    if (to_outage_s_ <= 0) {
      outage_s_ = chance_.between(scenario_.outages.shortest_s, scenario_.outages.longest_s);
      to_outage_s_ = outage_s_ + drawn(scenario_.outages.every_s);
    }
    outage_s_ -= kStep;
    row.up = outage_s_ <= 0;
    const double rate = rate_.next(chance_, kStep);
    row.round_trip_ms = radio_->round_trip_ms * round_trip_.next(chance_, kStep);
    row.uplink_mbps = radio_->uplink_mbps * rate;
    row.downlink_mbps = radio_->downlink_mbps * rate;
    row.stall_ms = stall;
  }

 private:
  // Not sooner than a fifth of the mean; never, where there are none.
  double drawn(double mean_s) {
    return mean_s > 0 ? 0.2 * mean_s + chance_.exponential(0.8 * mean_s) : 1e18;
  }
  void change() {
    const auto count = static_cast<double>(scenario_.radios.size());
    radio_ = &scenario_.radios[static_cast<std::size_t>(chance_.uniform() * count)];
    left_s_ = 0.2 * radio_->dwell_s + chance_.exponential(0.8 * radio_->dwell_s);
  }

  const Scenario& scenario_;
  Chance& chance_;
  Wandering round_trip_;
  Wandering rate_;
  const Radio* radio_ = nullptr;
  double left_s_ = 0;
  double to_hand_over_s_ = 0;
  double to_outage_s_ = 0;
  double outage_s_ = 0;
};

}  // namespace

std::span<const std::string_view> scenarios() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> made;
    for (const Scenario& each : all()) made.push_back(each.name);
    return made;
  }();
  return names;
}

Trace generate(std::string_view name, std::uint64_t seed, double seconds) {
  const auto found = std::ranges::find(all(), name, &Scenario::name);
  const Scenario& scenario = *found;
  // Each scenario has chances of its own under the same seed.
  const auto index = static_cast<std::uint64_t>(found - all().begin());
  Chance chance(sim::mix(seed) ^ sim::mix(1000 + index));
  Air air(scenario, chance);
  Dwelling device(scenario.device, chance);
  Dwelling speed(scenario.speed, chance);
  Dwelling edge(scenario.edge, chance);
  Trace trace{.name = std::string(name), .step_s = kStep, .rows = {}, .scatter = scenario.scatter};
  const auto rows = static_cast<std::size_t>(seconds / kStep) + 1;
  trace.rows.reserve(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    Conditions row;
    air.next(row);
    row.device_load = device.next(kStep);
    row.device_speed = speed.next(kStep);
    row.edge_load = edge.next(kStep);
    // An edge that is shared lets wait, too.
    row.edge_queue_ms = 4 * (row.edge_load - 1);
    trace.rows.push_back(row);
  }
  return trace;
}

}  // namespace aloft::bench
