// A clock on the wall that can be stepped for some processes alone: a library that is loaded before
// all others (LD_PRELOAD) and adds to CLOCK_REALTIME what stands in a file, 8 bytes of nanoseconds,
// which ALOFT_CLOCK_OFFSET_FILE names. A step is a write into that file.
//
// The kernel has one such clock for all of a machine, and namespaces for the others only. What it
// does with absolute times is done here as well: gRPC's conditions wait for a time of this clock
// (FUTEX_WAIT_BITSET with FUTEX_CLOCK_REALTIME), so a step forward ends such a wait early, and one
// back prolongs it. The file is mapped before main(), so that a process in a sandbox needs neither
// it nor another system call.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>
#include <ctime>

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kSlice = kSecond / 10;  // after which a wait sees that the clock was stepped

using ClockGettime = int (*)(clockid_t, timespec*);
using Syscall = long (*)(long, ...);

// Other libraries' constructors may come first.
ClockGettime real_clock() {
  static const auto found = reinterpret_cast<ClockGettime>(::dlsym(RTLD_NEXT, "clock_gettime"));
  return found;
}
Syscall real_syscall() {
  static const auto found = reinterpret_cast<Syscall>(::dlsym(RTLD_NEXT, "syscall"));
  return found;
}

const std::atomic<std::int64_t>* map_offset() {
  static constexpr std::atomic<std::int64_t> kNone = 0;
  const char* const name = std::getenv("ALOFT_CLOCK_OFFSET_FILE");
  const int file = name == nullptr ? -1 : ::open(name, O_RDONLY | O_CLOEXEC);
  if (file < 0) return &kNone;
  void* const mapped = ::mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, file, 0);
  ::close(file);
  return mapped == MAP_FAILED ? &kNone : static_cast<const std::atomic<std::int64_t>*>(mapped);
}
std::int64_t offset() {
  static const std::atomic<std::int64_t>* const mapped = map_offset();
  return mapped->load(std::memory_order_relaxed);
}

std::int64_t nanoseconds(const timespec& time) { return time.tv_sec * kSecond + time.tv_nsec; }
timespec time_of(std::int64_t nanoseconds) {
  return {.tv_sec = nanoseconds / kSecond, .tv_nsec = nanoseconds % kSecond};
}
std::int64_t real_now() {
  timespec now{};
  real_clock()(CLOCK_REALTIME, &now);
  return nanoseconds(now);
}

__attribute__((constructor)) void prepare() {
  (void)real_clock();
  (void)real_syscall();
  (void)offset();
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const int result = real_clock()(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    *time = time_of(nanoseconds(*time) + offset());
  return result;
}

int gettimeofday(timeval* time, void*) noexcept {
  const timespec now = time_of(real_now() + offset());
  *time = {.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
  return 0;
}

time_t time(time_t* where) noexcept {
  const time_t now = time_of(real_now() + offset()).tv_sec;
  if (where != nullptr) *where = now;
  return now;
}

long syscall(long number, ...) noexcept {
  std::va_list list;
  va_start(list, number);
  long arguments[6];
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  const auto call = [&](const timespec* limit) {
    const long fourth = limit == nullptr ? arguments[3] : reinterpret_cast<long>(limit);
    return real_syscall()(number, arguments[0], arguments[1], arguments[2], fourth, arguments[4],
                          arguments[5]);
  };
  const bool waits = number == SYS_futex && (arguments[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET &&
                     (arguments[1] & FUTEX_CLOCK_REALTIME) != 0 && arguments[3] != 0;
  if (!waits) return call(nullptr);
  const std::int64_t until = nanoseconds(*reinterpret_cast<const timespec*>(arguments[3]));
  for (;;) {
    const std::int64_t now = real_now();
    const std::int64_t end = until - offset();
    const timespec limit = time_of(std::clamp(end, std::int64_t{0}, now + kSlice));
    const long result = call(&limit);
    if (result == 0 || errno != ETIMEDOUT || real_now() >= until - offset()) return result;
  }
}

}  // extern "C"
