// What a call costs in a trace, here and at the edge, frame by frame: the models of device, link
// and edge.
//
//   here    =  local time * load of other programs / speed of the processor
//   edge    =  round trip + hand-over + bytes / rate + slow start + queue there + run there
//
// Slow start is what a change to the edge really costs a pure function. TCP forgets the rate of a
// connection that is hardly used: its window is halved for each retransmission timeout that it was
// not filled in, down to ten segments (RFC 2861, RFC 6928), and grows again by doubling in each
// round trip. A change to the device costs nothing.
//
// An outage shorter than the channel's dead_after holds a call up. A longer one fails it when
// dead_after has passed: it then runs here. The edge is ready again when an attempt to connect, of
// which there is one after each reconnect_delay, has found the link and made its handshakes.
//
// The world goes by frames: frame i meets the conditions at i times the pace, whatever was chosen
// before, so that every policy, and the oracle, meets the same ones. The device's own clock goes on
// by the pace or, where a frame takes longer, by what it took.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "conditions.h"

namespace aloft::bench {

class World {
 public:
  // Of `frames` frames. `seed`: how single calls scatter.
  World(const Trace& trace, Workload workload, std::size_t frames, std::uint64_t seed);

  [[nodiscard]] const Workload& workload() const { return workload_; }
  [[nodiscard]] std::size_t size() const { return frames_.size(); }

  // --- What calls cost. Milliseconds.
  [[nodiscard]] double here_ms(std::size_t frame) const { return frames_[frame].here_ms; }
  struct EdgeCall {
    double latency_ms = 0;  // to the reply; of one that fails, to the run here
    bool failed = false;
    double queue_ms = 0;   // there
    double run_ms = 0;     // there
    double on_air_ms = 0;  // the radio sends or receives
  };
  // `idle_ms`: on the device's clock, since the frame of the last call that was sent there ended.
  [[nodiscard]] EdgeCall edge(std::size_t frame, double idle_ms) const;
  // By which the device's clock goes on.
  [[nodiscard]] double slot_ms(double latency_ms) const;

  // --- What a device can know when the frame begins.
  [[nodiscard]] bool ready(std::size_t frame) const { return frames_[frame].ready; }
  [[nodiscard]] double smoothed_round_trip_ms(std::size_t frame) const {
    return frames_[frame].smoothed_round_trip_ms;
  }
  [[nodiscard]] double device_speed(std::size_t frame) const { return frames_[frame].device_speed; }
  // Of all cores, by all processes but this one: 0..100.
  [[nodiscard]] double others_cpu_percent(std::size_t frame) const {
    return frames_[frame].others_cpu_percent;
  }

 private:
  struct Frame {
    double here_ms = 0;
    double round_trip_ms = 0;
    double stall_ms = 0;
    double on_air_ms = 0;
    double up_mbps = 0;
    double queue_ms = 0;
    double run_ms = 0;
    double outage_in_ms = 0;  // from here on, until the next outage begins; negative: it is on
    double outage_ms = 0;     // how long that one is
    bool ready = true;
    double smoothed_round_trip_ms = 0;
    double device_speed = 1;
    double others_cpu_percent = 0;
  };
  struct Outage {
    double begin_ms;
    double end_ms;
    double ready_ms;  // the edge is, again
  };
  [[nodiscard]] static std::vector<Outage> outages_of(const Trace& trace, double until_s);
  [[nodiscard]] double slow_start_ms(const Frame& frame, double idle_ms) const;

  const Workload workload_;
  std::vector<Frame> frames_;
};

}  // namespace aloft::bench
