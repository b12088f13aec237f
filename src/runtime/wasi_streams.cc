#include "runtime/wasi_overrides.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <vector>

#include "runtime/host_function.h"
#include "runtime/instance_impl.h"

namespace aloft::runtime {
namespace {

// Numbers and layouts of WASI preview 1 (the witx of wasi_snapshot_preview1).
enum Errno : std::int32_t {
  kSuccess = 0,
  kBadDescriptor = 8,
  kFault = 21,
  kInvalid = 28,
  kNotSupported = 58
};
constexpr std::uint32_t kSubscriptionBytes = 48;
constexpr std::uint32_t kEventBytes = 32;
constexpr std::uint32_t kMaxSubscriptions = 64;
constexpr std::uint8_t kEventClock = 0;
constexpr std::uint32_t kClockRealtime = 0;
constexpr std::uint32_t kClockMonotonic = 1;
constexpr std::uint16_t kAbsoluteTime = 1;

using Clock = std::chrono::steady_clock;

struct Subscription {
  std::uint64_t userdata = 0;
  std::uint8_t type = 0;
  std::uint16_t error = kSuccess;
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
  if (made.type != kEventClock || clock > kClockMonotonic) {
    made.error = kNotSupported;
    return made;
  }
  // Longer than a day is as good as a day: every call has a deadline before that.
  constexpr std::chrono::nanoseconds kDay = std::chrono::hours(24);
  const auto nanoseconds = static_cast<std::int64_t>(std::min<std::uint64_t>(
      field<std::uint64_t>(record, 24), static_cast<std::uint64_t>(INT64_MAX)));
  std::chrono::nanoseconds wait(nanoseconds);
  if ((field<std::uint16_t>(record, 40) & kAbsoluteTime) != 0) {
    wait -= clock == kClockRealtime
                ? std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch())
                : std::chrono::nanoseconds(now.time_since_epoch());
  }
  made.due = now + std::clamp(wait, std::chrono::nanoseconds(0), kDay);
  return made;
}

// poll_oneoff(subscriptions, events, count, &events_written)
HostResult poll_oneoff(Instance::Impl& instance, std::span<const wasmtime_val_raw_t> arguments) {
  const std::uint32_t count = unsigned_argument(arguments[2]);
  if (count == 0 || count > kMaxSubscriptions) return kInvalid;
  const auto records =
      instance.slice(unsigned_argument(arguments[0]), std::uint64_t{count} * kSubscriptionBytes);
  const auto events =
      instance.slice(unsigned_argument(arguments[1]), std::uint64_t{count} * kEventBytes);
  if (!records || !events) return kFault;

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
  return instance.write_u32(unsigned_argument(arguments[3]), written) ? kSuccess : kFault;
}

constexpr std::uint32_t kStandardOutput = 1;
constexpr std::uint32_t kStandardError = 2;
constexpr std::uint32_t kMaxPieces = 1024;

// fd_write(descriptor, pieces, count, &written); a piece: {address u32, size u32}
HostResult fd_write(Instance::Impl& instance, std::span<const wasmtime_val_raw_t> arguments) {
  const std::uint32_t descriptor = unsigned_argument(arguments[0]);
  if (descriptor != kStandardOutput && descriptor != kStandardError) return kBadDescriptor;
  const std::uint32_t count = unsigned_argument(arguments[2]);
  if (count > kMaxPieces) return kInvalid;
  const auto pieces = instance.slice(unsigned_argument(arguments[1]), std::uint64_t{count} * 8);
  if (!pieces) return kFault;
  GuestOutput& output = descriptor == kStandardOutput ? instance.output : instance.error_output;
  std::uint32_t written = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto address = field<std::uint32_t>(*pieces, std::size_t{i} * 8);
    const auto size = field<std::uint32_t>(*pieces, std::size_t{i} * 8 + 4);
    const auto text = instance.slice(address, size);
    if (!text) return kFault;
    output.write({reinterpret_cast<const char*>(text->data()), text->size()});
    written += size;
  }
  return instance.write_u32(unsigned_argument(arguments[3]), written) ? kSuccess : kFault;
}

constexpr std::uint8_t kCharacterDevice = 2;
constexpr std::uint64_t kRightToRead = 1U << 1U;
constexpr std::uint64_t kRightToWrite = 1U << 6U;

// fd_fdstat_get(descriptor, &status); status, 24 bytes: file type u8 at 0, flags u16 at 2, rights
// u64 at 8 and 16.
HostResult fd_fdstat_get(Instance::Impl& instance, std::span<const wasmtime_val_raw_t> arguments) {
  const std::uint32_t descriptor = unsigned_argument(arguments[0]);
  if (descriptor > kStandardError) return kBadDescriptor;
  const auto status = instance.slice(unsigned_argument(arguments[1]), 24);
  if (!status) return kFault;
  std::ranges::fill(*status, std::byte{0});
  (*status)[0] = std::byte{kCharacterDevice};
  const std::uint64_t rights = descriptor == 0 ? kRightToRead : kRightToWrite;
  std::memcpy(status->data() + 8, &rights, sizeof rights);
  return kSuccess;
}

}  // namespace

Result<void> define_wasi_overrides(wasmtime_linker_t& linker) {
  constexpr std::string_view kModule = "wasi_snapshot_preview1";
  if (auto defined = define_host_function(linker, kModule, "fd_write", 4, &fd_write); !defined)
    return defined;
  if (auto defined = define_host_function(linker, kModule, "fd_fdstat_get", 2, &fd_fdstat_get);
      !defined)
    return defined;
  return define_host_function(linker, kModule, "poll_oneoff", 4, &poll_oneoff);
}

}  // namespace aloft::runtime
