// Compiling a module in a process of its own: a compiler is a large target, and how much memory and
// time it needs is up to who wrote the module.
//
// The process has no file, no network, no other process in sight (process/sandbox.h), and bounds on
// memory, processor time and time. What it makes is believed as far as the module is: it runs only
// where that module was asked for, and in a sandbox.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include "host/process/sandbox.h"
#include "runtime/engine.h"
#include <aloft/result.h>

namespace aloft::host {

struct CompileOptions {
  std::filesystem::path program;  // aloft-exec
  std::filesystem::path root;     // SandboxOptions
  std::optional<uid_t> user;
  Need need = Need::everything;
  std::chrono::milliseconds limit{60'000};
  std::uint64_t memory_bytes = std::uint64_t{1} << 30U;
  std::uint64_t max_artifact = std::uint64_t{512} << 20U;
};

// Thread rule: any thread, as many at once as there is memory for. Errors: as
// runtime::Engine::compile; resource_exhausted (memory), deadline_exceeded, internal (the process
// cannot be started, or crashed).
[[nodiscard]] Result<runtime::Engine::Compiled> compile_apart(std::span<const std::byte> wasm,
                                                              const CompileOptions& options);

// The other side: what such a process does, with the arguments that it was started with behind its
// first. Gives its exit status.
[[nodiscard]] int run_compile_job(std::span<const std::string_view> arguments);

}  // namespace aloft::host
