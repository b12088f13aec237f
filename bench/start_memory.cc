#include "start_memory.h"

#include <cinttypes>
#include <cstdio>
#include <fstream>

#include "support/tenant_processes.h"

namespace aloft::bench {
namespace {

constexpr std::uint64_t kReserved = std::uint64_t{1} << 30U;  // bytes

}  // namespace

Result<ProcessMemory> memory_of(pid_t process) {
  std::ifstream maps("/proc/" + std::to_string(process) + "/smaps");
  ProcessMemory memory;
  std::uint64_t begin = 0, end = 0;
  std::uint64_t since_reserved = 0;  // resident, behind one reserved stretch and what follows it
  std::uint64_t next = 0;            // where that goes on, if it does; 0: nothing is reserved
  bool reserved = false;
  for (std::string line; std::getline(maps, line);) {
    char rights[5] = {};
    std::uint64_t from = 0, to = 0, kib = 0;
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %4s ", &from, &to, rights) == 3) {
      begin = from;
      end = to;
      reserved = rights[0] == '-' && rights[1] == '-' && end - begin >= kReserved;
      if (begin != next) since_reserved = 0, next = 0;
      if (reserved) {
        memory.guests += since_reserved;
        since_reserved = 0;
        next = end;
      } else if (next != 0) {
        next = end;
      }
    } else if (std::sscanf(line.c_str(), "Rss: %" SCNu64 " kB", &kib) == 1) {
      memory.all += kib << 10U;
      if (!reserved && next != 0) since_reserved += kib << 10U;
    }
  }
  if (memory.all == 0) {
    return fail(Errc::refused, "the memory of process " + std::to_string(process) +
                                   " cannot be read: run this as its user, or as root");
  }
  return memory;
}

Result<pid_t> handler_of(pid_t up, const std::string& tenant) {
  for (const auto& [process, whose] : testing::tenant_processes(up)) {
    if (whose == tenant) return process;
  }
  return fail(Errc::not_found, "no process of tenant " + tenant + " runs");
}

}  // namespace aloft::bench
