#include "channel/pace.h"

#include <algorithm>

namespace aloft::channel {

using std::chrono::microseconds;

std::size_t Pace::bytes_in(microseconds time) const {
  return static_cast<std::size_t>(rate_ * static_cast<std::uint64_t>(time.count()) / 1'000'000);
}

void Pace::waits(Time now, const Reading& reading) {
  if (measuring_) {
    const auto time = std::chrono::duration_cast<microseconds>(now - since_);
    samples_[next_sample_] = (reading.acknowledged - acknowledged_) * 1'000'000 /
                             static_cast<std::uint64_t>(std::max(time, microseconds(1)).count());
    next_sample_ = (next_sample_ + 1) % kSamples;
    rate_ = std::ranges::max(samples_);
    slow_ = rate_ > 0 && bytes_in(kAhead) < kFast;
  }
  measuring_ = true;
  since_ = now;
  acknowledged_ = reading.acknowledged;
  // Acknowledgements come in bursts of a round trip.
  interval_ = std::max<microseconds>(kInterval, reading.least_round_trip);
}

Outbox::Room Pace::room(const Reading& reading) const {
  Outbox::Room room;
  room.fragment = std::max<std::size_t>(4096, bytes_in(kFragment));
  const auto left = [](std::size_t limit, std::size_t used) {
    return limit > used ? limit - used : 0;
  };
  room.bytes = std::min(left(bytes_in(reading.least_round_trip + kAhead), reading.on_their_way),
                        left(bytes_in(kAhead), reading.not_sent));
  // Not a fragment at a time that is hardly worth its header; but an idle link always takes one.
  if (reading.on_their_way == 0) {
    room.bytes = std::max(room.bytes, room.fragment);
  } else if (room.bytes < std::min(room.fragment, std::size_t{1024})) {
    room.bytes = 0;
  }
  return room;
}

microseconds Pace::pause() const {
  constexpr microseconds kShortest{500};
  return std::max<microseconds>(kShortest, kAhead / 4);
}

}  // namespace aloft::channel
