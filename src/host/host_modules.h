// The modules of one host: fetched from the repository by digest, verified, compiled, kept.
//
//   STATE/modules/SHA-256.wasm       as fetched; hashed again each time it is used
//   STATE/compiled/...               what the compiler made of them (runtime/artifact_cache.h):
//   each
//                                    under a keyed digest, so that what lies there and was not made
//                                    here is as if missing
//
// Both are bounded by size; what was used least recently goes first. A signature is a matter of
// whom a tenant trusts: what one tenant's signers have signed is verified again for another tenant
// with other signers.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/units.h"
#include "host/compile_job.h"
#include "oci/artifact.h"
#include "runtime/artifact_cache.h"
#include "runtime/engine.h"
#include <aloft/result.h>

namespace aloft::host {

// Writes the module of this digest into the file, verified. oci::fetch_module, but for tests.
using FetchModule =
    std::function<Result<oci::Fetched>(const Digest& digest, const std::filesystem::path& into,
                                       const oci::Verification& verification)>;

struct HostModulesOptions {
  std::filesystem::path state;
  FetchModule fetch;
  CompileOptions compile;
  unsigned compilations = 1;  // at a time
  Bytes max_modules = 2_GiB;
  Bytes max_compiled = 4_GiB;
};

// Thread rule: any thread, but no I/O thread: it waits for disk, network and compiler. Two that
// want the same module wait for one.
class HostModules {
 public:
  // Makes the folders. Errors: internal, refused (others may write there).
  [[nodiscard]] static Result<std::unique_ptr<HostModules>> open(HostModulesOptions options);

  struct Module {
    Digest digest;
    std::string artifact_name;
    std::set<std::string> imports;             // names of modules that it imports from
    std::chrono::microseconds compile_time{};  // 0: it was there
  };
  // Has it here, verified for these signers, and compiled. Errors: not_found, refused (no good
  // signature, no module), corrupt, unreachable (the repository), resource_exhausted, ...
  [[nodiscard]] Result<Module> get(const Digest& digest, const oci::Verification& verification);

  // Puts the module and what was compiled where a handler looks for them; `user`, if any, may read
  // it and nobody but this process change it. Errors: internal.
  [[nodiscard]] Result<void> show(const Module& module, const std::filesystem::path& modules,
                                  const std::filesystem::path& compiled,
                                  std::optional<uid_t> user) const;

  // Most recently used first, at most `most`.
  [[nodiscard]] std::vector<Digest> compiled(std::size_t most) const;
  [[nodiscard]] std::uint64_t compilations() const;
  // Of the engine, its settings and the processor: a number as text.
  [[nodiscard]] std::string compiled_for() const;

 private:
  HostModules(HostModulesOptions options, runtime::ArtifactCache cache,
              std::shared_ptr<runtime::Engine> engine);
  [[nodiscard]] Result<Module> make(const Digest& digest, const oci::Verification& verification,
                                    const std::string& trust);
  [[nodiscard]] Result<std::vector<std::byte>> fetched(const Digest& digest,
                                                       const oci::Verification& verification,
                                                       const std::string& trust);
  [[nodiscard]] std::filesystem::path file_of(const Digest& digest) const;

  const HostModulesOptions options_;
  const runtime::ArtifactCache cache_;
  const std::shared_ptr<runtime::Engine> engine_;  // only for the names of what is compiled

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::set<Digest> busy_;
  unsigned compiling_ = 0;
  std::uint64_t compilations_ = 0;
  std::set<std::pair<Digest, std::string>> verified_;  // and for whom
  std::map<Digest, Module> known_;
  std::vector<Digest> used_;  // least recently first
};

// A handler's folder of compiled modules, empty but for a key; likewise readable by `user`. Errors:
// internal.
[[nodiscard]] Result<void> make_shown_folders(const std::filesystem::path& modules,
                                              const std::filesystem::path& compiled,
                                              std::optional<uid_t> user);

}  // namespace aloft::host
