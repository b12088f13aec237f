// The functions of WASI preview 1 that are ours and not Wasmtime's. Private to this folder.
//
//   poll_oneoff    a guest that sleeps must wake when its time is up or its call is given up.
//                  Clocks can be waited for, file descriptors cannot: guests have none worth it.
//   fd_write       what a guest writes must reach HostServices on the thread of the call;
//                  Wasmtime would deliver it from a thread of its own.
//   fd_fdstat_get  the standard streams look like a terminal, so that the guest's libc hands each
//                  line over at its end and none waits in a buffer for the next call.
#pragma once

#include "runtime/wasmtime_handles.h"
#include <aloft/result.h>

namespace aloft::runtime {

[[nodiscard]] Result<void> define_wasi_overrides(wasmtime_linker_t& linker);

}  // namespace aloft::runtime
