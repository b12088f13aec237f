// How many bytes a link may have on their way at one time, so that an urgent message waits for few.
//
// What is ahead of a message that is written now: the bytes that the kernel has not sent, and those
// that stand in a queue of the network. TCP fills both as far as it may: a network's queue often
// holds hundreds of milliseconds. So where a link is slower than what is to be sent, less is handed
// to the kernel:
//
//     on their way (unacknowledged, sent or not)  <=  rate * (least round trip + kAhead)
//     not sent by the kernel                      <=  rate * kAhead
//     a fragment                                  ~   rate * kFragment
//
// `rate` is the largest that was acknowledged in one of the last kSamples intervals in which there
// always was something to write. That is enough to keep the link full (the queue never runs dry for
// kAhead), follows a link that becomes faster (more than rate * round trip is on its way, so more
// is acknowledged), and one that becomes slower when the old samples have gone. A link for which
// kAhead holds kFast bytes is not slowed down, nor is one that is not known yet.
//
// Pure: times and readings are passed in. Thread rule: one at a time.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "channel/outbox.h"

namespace aloft::channel {

class Pace {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // What the kernel says of a connection.
  struct Reading {
    std::uint64_t acknowledged = 0;  // bytes, ever
    std::size_t on_their_way = 0;    // bytes written and not acknowledged
    std::size_t not_sent = 0;        // of these
    std::chrono::microseconds least_round_trip{};
  };

  static constexpr std::chrono::milliseconds kAhead{8};
  static constexpr std::chrono::milliseconds kFragment{3};
  static constexpr std::chrono::milliseconds kInterval{20};
  static constexpr std::size_t kSamples = 10;
  static constexpr std::size_t kFast = 1024 * 1024;

  // Something is left to write: `reading` is how it stands. Only when due().
  void waits(Time now, const Reading& reading);
  // Nothing is left: the time until something is says nothing about the link.
  void idle() { measuring_ = false; }
  // Whether a reading is of use now, while something is left to write.
  [[nodiscard]] bool due(Time now) const { return !measuring_ || now >= since_ + interval_; }

  // Whether the link is held back at all: only then room() is to be asked.
  [[nodiscard]] bool slow() const { return slow_; }
  [[nodiscard]] Outbox::Room room(const Reading& reading) const;
  // When there will be room, where room() found none.
  [[nodiscard]] std::chrono::microseconds pause() const;
  [[nodiscard]] std::uint64_t rate() const { return rate_; }  // bytes a second, 0: not known

 private:
  [[nodiscard]] std::size_t bytes_in(std::chrono::microseconds time) const;

  bool measuring_ = false;
  Time since_;
  std::uint64_t acknowledged_ = 0;
  std::chrono::microseconds interval_ = kInterval;
  std::array<std::uint64_t, kSamples> samples_{};
  std::size_t next_sample_ = 0;
  std::uint64_t rate_ = 0;
  bool slow_ = false;
};

}  // namespace aloft::channel
