// The three descriptors that a guest has: 0 gives no input, 1 and 2 go line by line to
// HostServices, on the thread of the call. They look like a terminal, so that the guest's libc
// hands each line over at its end and none waits in a buffer for the next call. Private to this
// folder.
#pragma once

#include "runtime/host_function.h"

namespace aloft::runtime {

constexpr std::uint32_t kWasiStreams = 3;  // descriptors below this one exist, all others do not

// fd_write(descriptor, pieces, count, &written); a piece: {address u32, size u32}
[[nodiscard]] HostResult wasi_fd_write(GuestContext& instance,
                                       std::span<const HostArgument> arguments);
// fd_read(descriptor, pieces, count, &read): the end of the input, at once.
[[nodiscard]] HostResult wasi_fd_read(GuestContext& instance,
                                      std::span<const HostArgument> arguments);
// fd_fdstat_get(descriptor, &status)
[[nodiscard]] HostResult wasi_fd_fdstat_get(GuestContext& instance,
                                            std::span<const HostArgument> arguments);
// fd_filestat_get(descriptor, &status)
[[nodiscard]] HostResult wasi_fd_filestat_get(GuestContext& instance,
                                              std::span<const HostArgument> arguments);
// fd_close(descriptor): done, and the stream stays: a libc closes its streams when it ends, and the
// next call of the instance writes again.
[[nodiscard]] HostResult wasi_fd_close(GuestContext& instance,
                                       std::span<const HostArgument> arguments);
// fd_seek(descriptor, offset, whence, &position), fd_tell(descriptor, &position): a terminal has no
// position.
[[nodiscard]] HostResult wasi_fd_seek(GuestContext& instance,
                                      std::span<const HostArgument> arguments);

}  // namespace aloft::runtime
