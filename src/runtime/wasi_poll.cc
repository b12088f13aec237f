#include "runtime/wasi_poll.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <vector>

#include "runtime/wasi.h"

namespace aloft::runtime {
namespace {

// Layouts of WASI preview 1 (the witx of wasi_snapshot_preview1).
constexpr std::uint32_t kSubscriptionBytes = 48;
constexpr std::uint32_t kEventBytes = 32;
constexpr std::uint32_t kMaxSubscriptions = 64;
constexpr std::uint8_t kEventClock = 0;
constexpr std::uint16_t kAbsoluteTime = 1;

using Clock = std::chrono::steady_clock;

struct Subscription {
  std::uint64_t userdata = 0;
  std::uint8_t type = 0;
  std::uint16_t error = kWasiSuccess;
  Clock::time_point due;
};

template <class T>
T field(std::span<const std::byte> record, std::size_t offset) {
  T value{};
  std::memcpy(&value, record.data() + offset, sizeof value);
  return value;
}

Subscription read(std::span<const std::byte> record, Clock::time_point now) {
  Subscription made{.userdata = field<std::uint64_t>(record, 0),
                    .type = field<std::uint8_t>(record, 8),
                    .due = now};
  const auto clock = field<std::uint32_t>(record, 16);
  if (made.type != kEventClock || clock > kWasiMonotonic) {
    made.error = kWasiNotSupported;
    return made;
  }
  // Longer than a day is as good as a day: every call has a deadline before that.
  constexpr std::chrono::nanoseconds kDay = std::chrono::hours(24);
  const auto nanoseconds = static_cast<std::int64_t>(std::min<std::uint64_t>(
      field<std::uint64_t>(record, 24), static_cast<std::uint64_t>(INT64_MAX)));
  std::chrono::nanoseconds wait(nanoseconds);
  if ((field<std::uint16_t>(record, 40) & kAbsoluteTime) != 0) {
    wait -= clock == kWasiRealtime
                ? std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch())
                : std::chrono::nanoseconds(now.time_since_epoch());
  }
  made.due = now + std::clamp(wait, std::chrono::nanoseconds(0), kDay);
  return made;
}

}  // namespace

HostResult wasi_poll_oneoff(GuestContext& instance, std::span<const HostArgument> arguments) {
  const std::uint32_t count = unsigned_argument(arguments[2]);
  if (count == 0 || count > kMaxSubscriptions) return kWasiInvalid;
  const auto records =
      instance.slice(unsigned_argument(arguments[0]), std::uint64_t{count} * kSubscriptionBytes);
  const auto events =
      instance.slice(unsigned_argument(arguments[1]), std::uint64_t{count} * kEventBytes);
  if (!records || !events) return kWasiFault;

  const auto now = Clock::now();
  std::vector<Subscription> subscriptions;
  for (std::uint32_t i = 0; i < count; ++i) {
    subscriptions.push_back(
        read(records->subspan(std::size_t{i} * kSubscriptionBytes, kSubscriptionBytes), now));
  }
  const auto first = std::ranges::min(subscriptions, {}, &Subscription::due).due;
  std::mutex mutex;
  std::condition_variable_any never;  // only time passes, or the call is given up
  std::unique_lock lock(mutex);
  never.wait_until(lock, instance.stop.get_token(), std::min(first, instance.deadline),
                   [] { return false; });
  if (const auto reason = instance.must_stop()) return std::unexpected(*reason);

  std::uint32_t written = 0;
  for (const Subscription& subscription : subscriptions) {
    if (subscription.due > first) continue;
    const auto event = events->subspan(std::size_t{written++} * kEventBytes, kEventBytes);
    std::ranges::fill(event, std::byte{0});
    std::memcpy(event.data(), &subscription.userdata, sizeof subscription.userdata);
    std::memcpy(event.data() + 8, &subscription.error, sizeof subscription.error);
    std::memcpy(event.data() + 10, &subscription.type, sizeof subscription.type);
  }
  return instance.write_u32(unsigned_argument(arguments[3]), written) ? kWasiSuccess : kWasiFault;
}

}  // namespace aloft::runtime
