// The WebAssembly engine of a process: compiles modules, keeps what it compiled, and holds the pool
// instances live in.
//
// This folder is the only user of Wasmtime. Guests get SIMD and bulk memory; threads, relaxed SIMD
// (whose bits depend on the processor) and everything that would make two places compute different
// bits are off.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/digest.h"
#include <aloft/result.h>

namespace aloft::runtime {

class Module;

// read_only: what is not there is compiled and not kept. The folder is another user's (root's, or
// this one's), who makes it for this process: it and its key are to be there.
enum class CacheUse : std::uint8_t { read_write, read_only };

struct EngineOptions {
  // Where compiled modules are kept (made with mode 0700 when missing); empty: nowhere.
  std::filesystem::path cache_dir = {};
  CacheUse cache_use = CacheUse::read_write;
  std::uint32_t max_instances = 256;  // alive at a time
  std::uint64_t max_memory_bytes = std::uint64_t{1}
                                   << 30;  // the most that any instance's limit may say
  // Memory of an instance that goes back to the pool stays resident up to this, so that the next
  // instance in its place does not fault it in again.
  std::uint64_t keep_resident_bytes = std::uint64_t{16} << 20;
};

// Thread rule: any thread.
class Engine {
 public:
  // Errors: invalid_argument (a limit that cannot be), internal (a cache folder that cannot be
  // used, or one that others may write).
  [[nodiscard]] static Result<std::shared_ptr<Engine>> create(const EngineOptions& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Compiles `wasm`, or takes what was compiled before from the cache, which is keyed by the
  // module's SHA-256, the engine's version and settings, and the processor. Errors: corrupt (not a
  // valid module, or its content does not match its manifest), refused (it imports what guests do
  // not get: the message names the import).
  [[nodiscard]] Result<std::shared_ptr<const Module>> load(std::span<const std::byte> wasm);

  // Compiles `wasm` for another process with the same build of aloft on this machine, which finds
  // it under `name` in its ArtifactCache. Errors: as load().
  struct Compiled {
    std::string name;
    std::vector<std::byte> artifact;
  };
  [[nodiscard]] Result<Compiled> compile(std::span<const std::byte> wasm);
  // What the compiled module of this digest is called.
  [[nodiscard]] std::string artifact_name(const Digest& module) const;

  // "wasmtime 48.0.8"
  [[nodiscard]] static std::string description();
  // How many modules were compiled rather than found in the cache.
  [[nodiscard]] std::uint64_t compilations() const;

  struct Impl;

 private:
  explicit Engine(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // modules keep it alive
};

}  // namespace aloft::runtime
