#include "world.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "chance.h"
#include "channel/endpoint.h"

namespace aloft::bench {
namespace {

constexpr double kSegment = 1460;                 // bytes
constexpr double kInitialWindow = 10 * kSegment;  // RFC 6928
constexpr double kLeastTimeout = 200;             // ms: what Linux waits at least

double ms(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}
double transfer_ms(double bytes, double mbps) { return bytes * 8 / (mbps * 1e3); }

// Of the channel that the device really has.
const channel::EndpointOptions& channel_options() {
  static const channel::EndpointOptions options;
  return options;
}

}  // namespace

std::vector<World::Outage> World::outages_of(const Trace& trace, double until_s) {
  std::vector<Outage> outages;
  bool was_up = true;
  const auto rows = static_cast<std::size_t>(until_s / trace.step_s) + 1;
  for (std::size_t i = 0; i < rows; ++i) {
    const double at_ms = static_cast<double>(i) * trace.step_s * 1e3;
    const bool up = trace.at(static_cast<double>(i) * trace.step_s).up;
    if (was_up && !up) outages.push_back({at_ms, at_ms, at_ms});
    if (!up) outages.back().end_ms = at_ms + trace.step_s * 1e3;
    was_up = up;
  }
  const channel::EndpointOptions& channel = channel_options();
  for (Outage& outage : outages) {
    outage.ready_ms = outage.end_ms;
    double now = outage.begin_ms + ms(channel.dead_after);
    if (outage.end_ms <= now) continue;
    // An attempt that goes nowhere is longer than the pauses between attempts
    // (channel/connector.cc).
    const double attempt = ms(channel.connect_timeout) + ms(channel.reconnect_delay);
    now += ms(channel.reconnect_delay);
    while (now < outage.end_ms) now += attempt;
    // TCP, TLS, and the modules are opened.
    outage.ready_ms = now + 3 * trace.at(now / 1e3).round_trip_ms;
  }
  return outages;
}

World::World(const Trace& trace, Workload workload, std::size_t frames, std::uint64_t seed)
    : workload_(std::move(workload)) {
  const double pace_ms = workload_.pace_ms;
  const double dead_after_ms = ms(channel_options().dead_after);
  const double heartbeat_ms = ms(channel_options().heartbeat);
  const auto outages = outages_of(trace, static_cast<double>(frames) * pace_ms / 1e3 + 60);
  auto next_outage = outages.begin();
  Chance chance(seed);
  Chance pings(seed + 1);
  const Conditions* before = nullptr;
  double smoothed = 0;
  double pinged_ms = -heartbeat_ms;
  frames_.reserve(frames);
  for (std::size_t i = 0; i < frames; ++i) {
    const double at_ms = static_cast<double>(i) * pace_ms;
    const Conditions& now = trace.at(at_ms / 1e3);
    Frame frame;
    frame.here_ms =
        workload_.here_ms * now.device_load / now.device_speed * chance.factor(trace.scatter.here);
    frame.round_trip_ms = now.round_trip_ms * chance.factor(trace.scatter.round_trip);
    // Once: the call after the one that was held up finds the hand-over done.
    frame.stall_ms = &now == before ? 0 : now.stall_ms;
    before = &now;
    const double slower = chance.factor(trace.scatter.transfer);
    frame.up_mbps = now.uplink_mbps / slower;
    frame.on_air_ms = transfer_ms(workload_.input_bytes, frame.up_mbps) +
                      transfer_ms(workload_.reply_bytes, now.downlink_mbps / slower);
    frame.queue_ms = now.edge_queue_ms * chance.factor(2 * trace.scatter.edge);
    frame.run_ms = workload_.edge_ms * now.edge_load * chance.factor(trace.scatter.edge);
    frame.device_speed = now.device_speed;
    // Programs that leave half of a core to this one keep one core busy, of four.
    frame.others_cpu_percent = 25 * (1 - 1 / now.device_load) * 2;

    while (next_outage != outages.end() &&
           std::max(next_outage->end_ms, next_outage->ready_ms) <= at_ms)
      ++next_outage;
    frame.outage_in_ms = 1e18;
    if (next_outage != outages.end()) {
      frame.outage_in_ms = next_outage->begin_ms - at_ms;
      frame.outage_ms = next_outage->end_ms - next_outage->begin_ms;
      frame.ready = frame.outage_ms <= dead_after_ms || -frame.outage_in_ms < dead_after_ms;
    }
    // As the channel smooths its heartbeats.
    for (; pinged_ms + heartbeat_ms <= at_ms; pinged_ms += heartbeat_ms) {
      const Conditions& then = trace.at(std::max(0.0, pinged_ms + heartbeat_ms) / 1e3);
      if (!then.up) continue;
      const double sample = then.round_trip_ms * pings.factor(trace.scatter.round_trip);
      smoothed = smoothed == 0 ? sample : smoothed + (sample - smoothed) / 8;
    }
    frame.smoothed_round_trip_ms = smoothed;
    frames_.push_back(frame);
  }
}

double World::slot_ms(double latency_ms) const { return std::max(workload_.pace_ms, latency_ms); }

double World::slow_start_ms(const Frame& frame, double idle_ms) const {
  const double rate = frame.up_mbps * 1e3 / 8;  // bytes a ms
  const double filled = std::max(kInitialWindow, rate * frame.round_trip_ms);
  const double timeout = std::max(kLeastTimeout, 3 * frame.round_trip_ms);
  const double halvings = std::floor(std::min(idle_ms / timeout, 60.0));
  double window = std::max(kInitialWindow, filled * std::exp2(-halvings));
  double left = workload_.input_bytes;
  double waited = 0;
  // A window is sent, then its acknowledgement is awaited while the link does nothing.
  while (left > window && window < filled) {
    waited += frame.round_trip_ms - window / rate;
    left -= window;
    window *= 2;
  }
  return waited;
}

World::EdgeCall World::edge(std::size_t index, double idle_ms) const {
  const Frame& frame = frames_[index];
  EdgeCall call{.latency_ms = 0,
                .failed = false,
                .queue_ms = frame.queue_ms,
                .run_ms = frame.run_ms,
                .on_air_ms = frame.on_air_ms};
  if (!frame.ready) {
    call = {.latency_ms = frame.here_ms, .failed = true};
    return call;
  }
  call.latency_ms = frame.round_trip_ms + frame.stall_ms + frame.on_air_ms +
                    slow_start_ms(frame, idle_ms) + frame.queue_ms + frame.run_ms;
  if (frame.outage_in_ms >= call.latency_ms) return call;
  // An outage begins while it is under way, or is on already.
  const double dead_after_ms = ms(channel_options().dead_after);
  const double left_ms = frame.outage_ms + std::min(0.0, frame.outage_in_ms);
  if (frame.outage_ms <= dead_after_ms) {
    call.latency_ms += std::max(0.0, left_ms);
    return call;
  }
  return {.latency_ms = frame.outage_in_ms + dead_after_ms + frame.here_ms,
          .failed = true,
          .on_air_ms = frame.on_air_ms};
}

}  // namespace aloft::bench
