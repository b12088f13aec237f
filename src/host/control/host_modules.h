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
#include "host/call_figures.h"
#include "host/compile_job.h"
#include "oci/artifact.h"
#include "runtime/artifact_cache.h"
#include "runtime/engine.h"
#include "runtime/manifest.h"
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
  unsigned compilations = 3;  // at a time, fetching included; of one tenant: one
  Bytes max_modules = 2_GiB;
  Bytes max_compiled = 4_GiB;
};

// Thread rule: any thread, but no I/O thread: it waits for disk, network and compiler. Two that
// want the same module wait for one. A tenant with modules that take long keeps those of others
// waiting for no more than one of them, and no more than a few modules are in memory at a time.
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
  // Has it here, verified for these signers, and compiled; `owner`: the tenant. Errors: not_found,
  // refused (no good signature, no module), corrupt, unreachable (the repository),
  // resource_exhausted or deadline_exceeded (the compiler; for a while after it is not tried
  // again), overloaded (too many of this owner's wait), ...
  [[nodiscard]] Result<Module> get(const Digest& digest, const oci::Verification& verification,
                                   const std::string& owner);

  // What is said in a module that get() had here. Errors: corrupt (no module that aloft-cc made),
  // not_found.
  [[nodiscard]] Result<runtime::Manifest> manifest(const Digest& digest) const;

  // Puts the module and what was compiled where a handler looks for them; `user`, if any, may read
  // it and nobody but this process change it. Errors: internal.
  [[nodiscard]] Result<void> show(const Module& module, const std::filesystem::path& modules,
                                  const std::filesystem::path& compiled,
                                  std::optional<uid_t> user) const;

  // Most recently used first, at most `most`.
  [[nodiscard]] std::vector<Digest> compiled(std::size_t most) const;
  struct Use {
    std::uint64_t found = 0;    // a module that was wanted was compiled already
    std::uint64_t fetched = 0;  // modules
    CallTimes compilations;     // and how many failed
  };
  [[nodiscard]] Use use() const;
  // Of the engine, its settings and the processor: a number as text.
  [[nodiscard]] std::string compiled_for() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Failure {
    Error why;
    Clock::time_point until;
  };
  HostModules(HostModulesOptions options, runtime::ArtifactCache cache,
              std::shared_ptr<runtime::Engine> engine);
  // Where all of it is here and as it was.
  [[nodiscard]] std::optional<Module> ready(const Digest& digest, const std::string& trust) const;
  void keep(const Module& module, const std::string& trust);  // with the mutex held
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
  std::set<Digest> busy_;  // being fetched or compiled, and for whom
  std::set<std::string> at_work_for_;
  std::map<std::string, std::size_t> waiting_;  // by owner
  std::map<Digest, Failure> failed_;
  Use use_;
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
