// What a process gives up before it touches anything that comes from a tenant: what stays is the
// sockets that it has, the folders that it is shown, its memory and its threads.
//
//   measure                            what it takes away
//   another user, no groups            files, processes and signals of everybody else (root only)
//   no capabilities, no_new_privs      what root may do, and every way back to it
//   an own, empty root                 all files but the folders shown: read-only, no devices,
//                                      nothing to execute; a bounded scratch space in memory
//   own PID, IPC, UTS and network      sight of other processes; System V objects; every network.
//   namespaces                         A socket that it was given keeps the network it was made in
//   limits                             core dumps; descriptors and threads without end
//   allow-list of system calls         everything else: what is never harmless ends the process,
//                                      the rest fails with EPERM
//
// Memory and processor time are not limited here but by the cgroup that the parent put the process
// into (cgroup.h): the engine reserves far more address space than it uses, which RLIMIT_AS would
// count.
//
// Without root a user namespace gives the right to all but the first; where the system has that
// turned off, Need says whether the process goes on without.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include <aloft/result.h>

namespace aloft::host {

enum class Need {
  everything,     // what cannot be had is an error
  what_there_is,  // what cannot be had is told
};

struct SandboxOptions {
  enum class Use : std::uint8_t { read, load };  // load: libraries may be loaded from there
  struct Shown {
    std::filesystem::path from;  // a folder
    std::string at;              // its name in the new root, or its path there
    Use use = Use::read;
  };
  std::filesystem::path root;  // an empty folder, to mount on; nothing is left in it
  std::vector<Shown> shown{};  // read-only
  std::vector<std::filesystem::path> files{};  // devices, above all: there under the same path
  std::string scratch = "scratch";  // a folder in memory that can be written; empty: none
  std::uint64_t scratch_bytes = std::uint64_t{64} << 20U;
  std::optional<uid_t> user{};  // of the process, and its group; root alone can change to it
  std::vector<int> keep{};      // descriptors beside 0, 1 and 2: all others are closed
  std::uint64_t open_files = 4096;
  std::uint64_t threads = 4096;   // of the user, so of all its processes
  std::uint64_t cpu_seconds = 0;  // then SIGKILL; 0: not limited here
  Need need = Need::everything;
};

struct Confined {
  std::vector<std::string>
      missing;  // what could not be had, for people; none with Need::everything
  // Where what is shown lies: "/AT"; empty where there is no root of its own.
  std::optional<std::filesystem::path> root;
};

// Does all but the last measure. The process must have one thread. It forks: what returns is a
// child that is process 1 of its own PID namespace and ends when this process does; this process
// waits for it and ends as it did (128 + N after signal N), and never returns. Errors: refused (the
// system does not let it, saying what), internal. After an error the process is half confined, and
// has to end.
[[nodiscard]] Result<Confined> enter_sandbox(const SandboxOptions& options);

// Adds what an engine on NVIDIA's accelerators needs to be seen: the devices, the system's
// libraries, and `libraries`, where those of the engine lie (empty: beside what is running); and
// what it looks up of the processors.
void show_accelerator(SandboxOptions& options, const std::filesystem::path& libraries);

// From here on this process can have this much more memory that it can write to; what it has
// already, in use or not, is not counted. For who has no control group. Before allow_only().
void limit_memory(std::uint64_t more_bytes);

enum class SystemCalls {
  serve,       // an Execution Handler: memory, threads, its files, its sockets
  compute,     // the same without sockets: compiling
  accelerate,  // `serve`, and talking to the devices that it sees
};
// The last measure, for all threads. Errors: internal.
[[nodiscard]] Result<void> allow_only(SystemCalls calls);

}  // namespace aloft::host
