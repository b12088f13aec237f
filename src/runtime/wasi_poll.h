// How a guest sleeps: `poll_oneoff` of WASI preview 1. Clocks can be waited for, file descriptors
// cannot: guests have none worth it. A sleep ends when the call's deadline passes or the call is
// given up, whatever the guest asked for. Private to this folder.
#pragma once

#include "runtime/host_function.h"

namespace aloft::runtime {

// poll_oneoff(subscriptions, events, count, &events_written)
[[nodiscard]] HostResult wasi_poll_oneoff(GuestContext& instance,
                                          std::span<const HostArgument> arguments);

}  // namespace aloft::runtime
