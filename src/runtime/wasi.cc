#include "runtime/wasi.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include <sys/random.h>

#include "runtime/host_function.h"
#include "runtime/wasi_poll.h"
#include "runtime/wasi_streams.h"

namespace aloft::runtime {
namespace {

using Arguments = std::span<const HostArgument>;

HostResult write_u64(GuestContext& instance, const HostArgument& address, std::uint64_t value) {
  const auto bytes = instance.slice(unsigned_argument(address), sizeof value);
  if (!bytes) return kWasiFault;
  std::memcpy(bytes->data(), &value, sizeof value);
  return kWasiSuccess;
}

// args_sizes_get and environ_sizes_get(&count, &bytes): there are none.
HostResult none_at_all(GuestContext& instance, Arguments arguments) {
  return instance.write_u32(unsigned_argument(arguments[0]), 0) &&
                 instance.write_u32(unsigned_argument(arguments[1]), 0)
             ? kWasiSuccess
             : kWasiFault;
}

// args_get and environ_get(pointers, bytes): nothing to write. sched_yield() gives way.
HostResult nothing_to_do(GuestContext& /*instance*/, Arguments /*arguments*/) {
  return kWasiSuccess;
}
HostResult sched_yield(GuestContext& instance, Arguments /*arguments*/) {
  std::this_thread::yield();
  if (const auto reason = instance.must_stop()) return std::unexpected(*reason);
  return kWasiSuccess;
}

// clock_res_get(clock, &nanoseconds)
HostResult clock_res_get(GuestContext& instance, Arguments arguments) {
  if (unsigned_argument(arguments[0]) > kWasiMonotonic) return kWasiInvalid;
  return write_u64(instance, arguments[1], 1);
}

// clock_time_get(clock, precision, &nanoseconds)
HostResult clock_time_get(GuestContext& instance, Arguments arguments) {
  const std::uint32_t clock = unsigned_argument(arguments[0]);
  if (clock > kWasiMonotonic) return kWasiInvalid;
  const std::chrono::nanoseconds now =
      clock == kWasiRealtime
          ? std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch())
          : std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch());
  return write_u64(instance, arguments[2], static_cast<std::uint64_t>(now.count()));
}

// random_get(buffer, size): in pieces, since a guest may ask for gigabytes and its time be up.
HostResult random_get(GuestContext& instance, Arguments arguments) {
  constexpr std::size_t kPiece = 65536;
  auto rest = instance.slice(unsigned_argument(arguments[0]), unsigned_argument(arguments[1]));
  if (!rest) return kWasiFault;
  while (!rest->empty()) {
    const ssize_t filled = ::getrandom(rest->data(), std::min(rest->size(), kPiece), 0);
    if (filled < 0 && errno != EINTR) return std::unexpected(TrapKind::other);
    if (filled > 0) rest = rest->subspan(static_cast<std::size_t>(filled));
    if (const auto reason = instance.must_stop()) return std::unexpected(*reason);
  }
  return kWasiSuccess;
}

// proc_exit(status) ends the call; the instance takes no other.
HostResult proc_exit(GuestContext& instance, Arguments arguments) {
  instance.exit_status = unsigned_argument(arguments[0]);
  return std::unexpected(TrapKind::exited);
}

// What needs more than a stream: the descriptor, which is argument number `kIndex`, either does not
// exist or is a stream, which cannot do it.
template <std::size_t kIndex = 0>
HostResult not_with_a_stream(GuestContext& /*instance*/, Arguments arguments) {
  return unsigned_argument(arguments[kIndex]) < kWasiStreams ? kWasiNotSupported
                                                             : kWasiBadDescriptor;
}

// fd_prestat_get and fd_prestat_dir_name: a libc asks from 3 on until it hears this.
HostResult not_preopened(GuestContext& /*instance*/, Arguments /*arguments*/) {
  return kWasiBadDescriptor;
}

HostResult not_supported(GuestContext& /*instance*/, Arguments /*arguments*/) {
  return kWasiNotSupported;
}

constexpr auto kFunctions = std::to_array<HostDefinition>({
    {"args_get", "ii", &nothing_to_do},
    {"args_sizes_get", "ii", &none_at_all},
    {"environ_get", "ii", &nothing_to_do},
    {"environ_sizes_get", "ii", &none_at_all},
    {"clock_res_get", "ii", &clock_res_get},
    {"clock_time_get", "iIi", &clock_time_get},
    {"random_get", "ii", &random_get},
    {"sched_yield", "", &sched_yield},
    {"poll_oneoff", "iiii", &wasi_poll_oneoff},
    {"proc_exit", "i", &proc_exit, HostReturn::nothing},
    {"proc_raise", "i", &not_supported},

    {"fd_write", "iiii", &wasi_fd_write},
    {"fd_read", "iiii", &wasi_fd_read},
    {"fd_fdstat_get", "ii", &wasi_fd_fdstat_get},
    {"fd_filestat_get", "ii", &wasi_fd_filestat_get},
    {"fd_close", "i", &wasi_fd_close},
    {"fd_seek", "iIii", &wasi_fd_seek},
    {"fd_tell", "ii", &wasi_fd_seek},
    {"fd_prestat_get", "ii", &not_preopened},
    {"fd_prestat_dir_name", "iii", &not_preopened},

    {"fd_advise", "iIIi", &not_with_a_stream},
    {"fd_allocate", "iII", &not_with_a_stream},
    {"fd_datasync", "i", &not_with_a_stream},
    {"fd_fdstat_set_flags", "ii", &not_with_a_stream},
    {"fd_fdstat_set_rights", "iII", &not_with_a_stream},
    {"fd_filestat_set_size", "iI", &not_with_a_stream},
    {"fd_filestat_set_times", "iIIi", &not_with_a_stream},
    {"fd_pread", "iiiIi", &not_with_a_stream},
    {"fd_pwrite", "iiiIi", &not_with_a_stream},
    {"fd_readdir", "iiiIi", &not_with_a_stream},
    {"fd_renumber", "ii", &not_with_a_stream},
    {"fd_sync", "i", &not_with_a_stream},
    {"path_create_directory", "iii", &not_with_a_stream},
    {"path_filestat_get", "iiiii", &not_with_a_stream},
    {"path_filestat_set_times", "iiiiIIi", &not_with_a_stream},
    {"path_link", "iiiiiii", &not_with_a_stream},
    {"path_open", "iiiiiIIii", &not_with_a_stream},
    {"path_readlink", "iiiiii", &not_with_a_stream},
    {"path_remove_directory", "iii", &not_with_a_stream},
    {"path_rename", "iiiiii", &not_with_a_stream},
    {"path_symlink", "iiiii", &not_with_a_stream<2>},
    {"path_unlink_file", "iii", &not_with_a_stream},
    {"sock_accept", "iii", &not_with_a_stream},
    {"sock_recv", "iiiiii", &not_with_a_stream},
    {"sock_send", "iiiii", &not_with_a_stream},
    {"sock_shutdown", "ii", &not_with_a_stream},
});

}  // namespace

std::span<const HostDefinition> wasi_functions() { return kFunctions; }

}  // namespace aloft::runtime
