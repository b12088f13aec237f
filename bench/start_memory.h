// What a tenant's Execution Handler has in memory, as the kernel counts it, and how much of that is
// linear memory of guests: for bench/start_bench.cc.
//
// The engine reserves each linear memory whole, so it lies between stretches of address space of a
// gigabyte and more that nothing may touch:
//
//   ... inaccessible | what the guest has | inaccessible | what the next guest has | inaccessible
//   ...
//
// Nothing else in the process lies so: what is resident there is guest memory.
#pragma once

#include <cstdint>
#include <string>

#include <sys/types.h>

#include <aloft/result.h>

namespace aloft::bench {

// Resident, in bytes.
struct ProcessMemory {
  std::uint64_t all = 0;
  std::uint64_t guests = 0;  // of that
};

// Errors: refused (the process is another user's), not_found.
[[nodiscard]] Result<ProcessMemory> memory_of(pid_t process);

// The process of this tenant, among those that `aloft up` has started. Errors: not_found.
[[nodiscard]] Result<pid_t> handler_of(pid_t up, const std::string& tenant);

}  // namespace aloft::bench
