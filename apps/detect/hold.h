// Holds this process to a share of one core, so that one machine can stand for a weak device beside
// a strong edge.
//
// The quota is a cgroup's CPU bandwidth limit (v1 or v2) of a 10 ms period: short, so that a
// frame's few milliseconds of work are stretched rather than stopped for long. Processes forked
// before the hold stay outside it.
#pragma once

#include <filesystem>
#include <string>

#include <aloft/result.h>

namespace detect {

// Dropping it moves the process back and removes the cgroup.
class CpuHold {
 public:
  // Moves this process, all its threads, into a new cgroup of `percent` (1..99) of one core.
  // Errors: refused when the user may not make cgroups or the machine has none with a cpu
  // controller; the message says which and what to do. `cgroup_root` and `proc_root` are where the
  // kernel shows them; tests give made-up trees.
  [[nodiscard]] static aloft::Result<CpuHold> apply(
      int percent, const std::filesystem::path& cgroup_root = "/sys/fs/cgroup",
      const std::filesystem::path& proc_root = "/proc");
  CpuHold(CpuHold&& other) noexcept;
  CpuHold& operator=(CpuHold&& other) noexcept;
  CpuHold(const CpuHold&) = delete;
  CpuHold& operator=(const CpuHold&) = delete;
  ~CpuHold();

  // "cgroup v2, 3.0 of every 10 ms"
  [[nodiscard]] const std::string& description() const { return description_; }

 private:
  CpuHold(std::filesystem::path group, std::filesystem::path home, std::string description);
  void release() noexcept;

  std::filesystem::path group_;  // ours; empty when moved from
  std::filesystem::path home_;   // where the process came from
  std::string description_;
};

}  // namespace detect
