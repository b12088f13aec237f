// A process that a daemon with many threads starts, and waits for.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include <aloft/result.h>

namespace aloft::host {

// Thread rule: one thread at a time.
class Child {
 public:
  struct Descriptor {
    int mine = -1;   // stays the caller's
    int theirs = 0;  // its number in the process
  };
  // Runs `program` with these arguments behind its name. It gets these descriptors, the standard
  // ones (input: empty, unless given), no other; and signals as they are by default. Errors:
  // not_found, internal.
  [[nodiscard]] static Result<Child> start(const std::filesystem::path& program,
                                           std::vector<std::string> arguments,
                                           std::span<const Descriptor> descriptors);
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();  // kill(), and waits

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Can be polled: readable when the process has ended.
  [[nodiscard]] int pidfd() const { return pidfd_; }
  // The exit status, 128 + N after signal N; none when it still runs after `limit`.
  [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds limit);
  void kill();

 private:
  Child(pid_t pid, int pidfd) : pid_(pid), pidfd_(pidfd) {}
  pid_t pid_ = -1;  // -1: waited for, or moved from
  int pidfd_ = -1;
};

}  // namespace aloft::host
