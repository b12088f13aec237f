// What a group of processes may use of the machine: memory, processor time, number of processes.
// Control groups of either version, where they are mounted and this process may make some; without,
// nothing is limited, and limit() says so.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include <aloft/result.h>

namespace aloft::host {

struct CgroupLimits {
  std::uint64_t memory_bytes = 0;  // 0: not limited, here and below
  // 1000 is one processor; also the group's weight where there is not enough for all. Where the
  // kernel can, what was not used is kept, up to as much as a period has: who comes after a while
  // is not held back at once.
  std::uint32_t cpu_millicores = 0;
  std::uint32_t processes = 0;  // threads count
};

// A group, removed with the object, when it is empty by then. Thread rule: one thread at a time.
class Cgroup {
 public:
  // `mounts`: where control groups are mounted. The group lies beside those of this process, under
  // "aloft/NAME"; one that is left over is taken.
  [[nodiscard]] static Cgroup make(const std::string& name,
                                   const std::filesystem::path& mounts = "/sys/fs/cgroup");
  Cgroup(Cgroup&&) noexcept;
  Cgroup& operator=(Cgroup&&) = delete;
  ~Cgroup();

  // What could not be limited, for people; empty: all that was asked for is.
  std::vector<std::string> limit(const CgroupLimits& limits);
  // Of one that the system has; none: it has none of this controller.
  [[nodiscard]] std::optional<std::string> read(const std::string& controller,
                                                const char* file) const;
  // The process, and all that it starts. Errors: internal (it is gone, or the group cannot be
  // used).
  [[nodiscard]] Result<void> add(pid_t process);

 private:
  Cgroup() = default;
  bool write(const std::string& controller, const char* file, const std::string& text) const;

  struct Folder {
    std::string controller;  // "" is version 2, which has them all
    std::filesystem::path path;
  };
  std::vector<Folder> folders_;
};

}  // namespace aloft::host
