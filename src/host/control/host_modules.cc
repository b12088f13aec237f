#include "host/control/host_modules.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/whole_file.h"
#include "runtime/wasm_file.h"

namespace aloft::host {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxVerified = 16'384;
constexpr std::size_t kMaxKnown = 16'384;
// Of a tenant; each is a request of a manager, on a thread.
constexpr std::size_t kMaxWaiting = 128;
// What one tenant may be shown at a time, of what is kept here.
constexpr std::uint64_t kTenantsPart = 4;
// A module that takes too much to compile would take it again.
constexpr std::chrono::seconds kNotAgainFor{120};

// Whom a verification believes, as a key of a map.
std::string trust_of(const oci::Verification& verification) {
  if (verification.unsigned_artifacts == oci::Unsigned::allow) return "anybody";
  std::vector<std::string> keys;
  for (const auto& signer : verification.signers) keys.push_back(signer.digest().hex());
  std::ranges::sort(keys);
  std::string trust;
  for (const std::string& key : keys) trust += key;
  return sha256(std::as_bytes(std::span(trust))).hex();
}

// Removes what was used least recently, until the rest is small enough.
void make_room(const fs::path& folder, std::string_view extension, Bytes max) {
  struct File {
    fs::file_time_type used;
    std::uint64_t size = 0;
    fs::path path;
  };
  std::vector<File> files;
  std::uint64_t total = 0;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != extension) continue;
    std::error_code gone;
    File file{it->last_write_time(gone), it->file_size(gone), it->path()};
    if (gone) continue;
    total += file.size;
    files.push_back(std::move(file));
  }
  std::ranges::sort(files, {}, &File::used);
  for (const File& file : files) {
    if (Bytes{total} <= max) break;
    fs::remove(file.path, error);
    total -= file.size;
  }
}

void touch(const fs::path& file) {
  std::error_code ignored;
  fs::last_write_time(file, fs::file_time_type::clock::now(), ignored);
}

// Readable for the user's group, writable for this process alone.
bool give(const fs::path& path, std::optional<uid_t> user, mode_t mode) {
  if (user && ::chown(path.c_str(), static_cast<uid_t>(-1), *user) != 0) return false;
  return ::chmod(path.c_str(), mode) == 0;
}

}  // namespace

Result<void> make_shown_folders(const fs::path& modules, const fs::path& compiled,
                                std::optional<uid_t> user) {
  std::error_code error;
  fs::create_directories(modules, error);
  if (error)
    return fail(Errc::internal, "cannot make " + modules.string() + ": " + error.message());
  if (auto cache = runtime::ArtifactCache::open(compiled); !cache)
    return std::unexpected(std::move(cache).error());
  if (!give(modules, user, 0750) || !give(compiled, user, 0750) ||
      !give(compiled / "key", user, 0640)) {
    return fail(Errc::internal,
                "cannot show " + compiled.string() + " to a handler: " + std::strerror(errno));
  }
  return {};
}

Result<std::unique_ptr<HostModules>> HostModules::open(HostModulesOptions options) {
  std::error_code error;
  fs::create_directories(options.state / "modules", error);
  fs::create_directories(options.compile.root, error);
  if (error) {
    return fail(Errc::internal,
                "cannot make folders in " + options.state.string() + ": " + error.message());
  }
  auto cache = runtime::ArtifactCache::open(options.state / "compiled");
  if (!cache) return std::unexpected(std::move(cache).error());
  auto engine = runtime::Engine::create({});
  if (!engine) return std::unexpected(std::move(engine).error());
  return std::unique_ptr<HostModules>(
      new HostModules(std::move(options), *std::move(cache), *std::move(engine)));
}

HostModules::HostModules(HostModulesOptions options, runtime::ArtifactCache cache,
                         std::shared_ptr<runtime::Engine> engine)
    : options_(std::move(options)), cache_(std::move(cache)), engine_(std::move(engine)) {}

fs::path HostModules::file_of(const Digest& digest) const {
  return options_.state / "modules" / (digest.hex() + ".wasm");
}

std::optional<HostModules::Module> HostModules::ready(const Digest& digest,
                                                      const std::string& trust) const {
  std::optional<Module> module;
  {
    const std::lock_guard lock(mutex_);
    const auto known = known_.find(digest);
    if (known == known_.end() || !verified_.contains({digest, trust})) return std::nullopt;
    module = known->second;
  }
  // Piece by piece: any number of these may be under way.
  const auto file = sha256_file(file_of(digest));
  if (!file || file->digest != digest || !cache_.load(module->artifact_name)) return std::nullopt;
  touch(file_of(digest));
  touch(options_.state / "compiled" / module->artifact_name);
  return module;
}

void HostModules::keep(const Module& module, const std::string& trust) {
  if (verified_.size() >= kMaxVerified) verified_.clear();
  verified_.emplace(module.digest, trust);
  Module known = module;
  known.compile_time = {};
  known_.insert_or_assign(module.digest, std::move(known));
  std::erase(used_, module.digest);
  used_.push_back(module.digest);
  if (used_.size() <= kMaxKnown) return;
  known_.erase(used_.front());
  used_.erase(used_.begin());
}

Result<HostModules::Module> HostModules::get(const Digest& digest,
                                             const oci::Verification& verification,
                                             const std::string& owner) {
  const std::string trust = trust_of(verification);
  if (auto there = ready(digest, trust)) {
    const std::lock_guard lock(mutex_);
    keep(*there, trust);
    ++use_.found;
    return *std::move(there);
  }
  std::unique_lock lock(mutex_);
  if (const auto failed = failed_.find(digest); failed != failed_.end()) {
    if (Clock::now() < failed->second.until) return std::unexpected(failed->second.why);
    failed_.erase(failed);
  }
  if (waiting_[owner] >= kMaxWaiting) {
    return fail(Errc::overloaded, "too many sessions of the tenant " + owner +
                                      " wait for their modules at this host already");
  }
  ++waiting_[owner];
  changed_.wait(lock, [&] {
    return !busy_.contains(digest) && !at_work_for_.contains(owner) &&
           busy_.size() < options_.compilations;
  });
  if (--waiting_[owner] == 0) waiting_.erase(owner);
  busy_.insert(digest);
  at_work_for_.insert(owner);
  lock.unlock();
  auto made = make(digest, verification, trust);
  lock.lock();
  busy_.erase(digest);
  at_work_for_.erase(owner);
  changed_.notify_all();
  if (made) {
    keep(*made, trust);
  } else if (made.error().code == Errc::deadline_exceeded ||
             made.error().code == Errc::resource_exhausted) {
    if (failed_.size() >= kMaxKnown) failed_.clear();
    failed_.insert_or_assign(digest, Failure{made.error(), Clock::now() + kNotAgainFor});
  }
  return made;
}

Result<std::vector<std::byte>> HostModules::fetched(const Digest& digest,
                                                    const oci::Verification& verification,
                                                    const std::string& trust) {
  const fs::path file = file_of(digest);
  const auto read = [&]() -> std::optional<std::vector<std::byte>> {
    auto bytes = read_whole(file);
    if (bytes && sha256(*bytes) == digest) return bytes;
    return std::nullopt;
  };
  bool verified = false;
  {
    const std::lock_guard lock(mutex_);
    verified = verified_.contains({digest, trust});
  }
  if (verified) {
    if (auto bytes = read()) {
      touch(file);
      return *std::move(bytes);
    }
    spdlog::warn("{} is gone, or is not what its name says; it is fetched again", file.string());
  }
  auto fetched = options_.fetch(digest, file, verification);
  if (!fetched) return std::unexpected(std::move(fetched).error());
  auto bytes = read();
  if (!bytes)
    return fail(Errc::corrupt, "the module sha256:" + digest.hex() + " came as something else");
  {
    const std::lock_guard lock(mutex_);
    ++use_.fetched;
  }
  spdlog::info("module {} sha256:{} is fetched{}", fetched->name, digest.hex(),
               fetched->signer.empty() ? "" : ", signed by " + fetched->signer);
  make_room(options_.state / "modules", ".wasm", options_.max_modules);
  return *std::move(bytes);
}

Result<HostModules::Module> HostModules::make(const Digest& digest,
                                              const oci::Verification& verification,
                                              const std::string& trust) {
  auto wasm = fetched(digest, verification, trust);
  if (!wasm) return std::unexpected(std::move(wasm).error());
  Module module{.digest = digest, .artifact_name = engine_->artifact_name(digest), .imports = {}};
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = known_.find(digest); known != known_.end())
      module.imports = known->second.imports;
  }
  if (module.imports.empty()) {
    const auto sections = runtime::read_sections(*wasm);
    if (!sections) return std::unexpected(sections.error());
    const auto interface = runtime::read_interface(*sections);
    if (!interface) return std::unexpected(interface.error());
    for (const auto& import : interface->imports) module.imports.insert(import.module);
  }
  const fs::path compiled = options_.state / "compiled" / module.artifact_name;
  if (cache_.load(module.artifact_name)) {
    touch(compiled);
    const std::lock_guard lock(mutex_);
    ++use_.found;
    return module;
  }
  const auto begun = std::chrono::steady_clock::now();
  auto result = compile_apart(*wasm, options_.compile);
  {
    CallCounter counter;
    counter.note(std::chrono::steady_clock::now() - begun,
                 result ? CallOutcome::done : CallOutcome::failed);
    const std::lock_guard lock(mutex_);
    use_.compilations.add(counter.take());
  }
  if (!result) {
    return fail(result.error().code,
                "the module sha256:" + digest.hex() + ": " + result.error().message);
  }
  if (result->name != module.artifact_name)
    return fail(Errc::internal, "the compiler is of another build than this program");
  cache_.store(module.artifact_name, result->artifact);
  make_room(options_.state / "compiled", ".cwasm", options_.max_compiled);
  module.compile_time =
      std::max(std::chrono::microseconds{1}, std::chrono::duration_cast<std::chrono::microseconds>(
                                                 std::chrono::steady_clock::now() - begun));
  return module;
}

Result<runtime::Manifest> HostModules::manifest(const Digest& digest) const {
  const auto bytes = read_whole(file_of(digest));
  if (!bytes || sha256(*bytes) != digest)
    return fail(Errc::not_found, "the module sha256:" + digest.hex() + " is not here any more");
  auto manifest = runtime::read_manifest(*bytes);
  if (!manifest) return std::unexpected(std::move(manifest).error());
  if (!*manifest) {
    return fail(Errc::corrupt, "the module sha256:" + digest.hex() +
                                   " does not say what is in it: seal it (aloft-cc)");
  }
  return **std::move(manifest);
}

Result<void> HostModules::show(const Module& module, const fs::path& modules,
                               const fs::path& compiled, std::optional<uid_t> user) const {
  const fs::path to = modules / (module.digest.hex() + ".wasm");
  std::error_code error;
  if (fs::exists(to, error)) {
    touch(to);
  } else {
    // Under another name until it is whole.
    const fs::path fresh = to.string() + ".new";
    fs::copy_file(file_of(module.digest), fresh, fs::copy_options::overwrite_existing, error);
    if (!error && !give(fresh, user, 0640)) error = {errno, std::generic_category()};
    if (!error) fs::rename(fresh, to, error);
    if (error) return fail(Errc::internal, "cannot show " + to.string() + ": " + error.message());
    // Copies: without a bound a tenant with many modules would fill the disk with them.
    make_room(modules, ".wasm", Bytes{options_.max_modules.count() / kTenantsPart});
  }
  const fs::path artifact = compiled / module.artifact_name;
  if (fs::exists(artifact, error)) return {};
  const auto bytes = cache_.load(module.artifact_name);
  if (!bytes) return {};  // the handler compiles it, within its limits
  auto cache = runtime::ArtifactCache::open(compiled);
  if (!cache) return std::unexpected(std::move(cache).error());
  cache->store(module.artifact_name, *bytes);
  make_room(compiled, ".cwasm", Bytes{options_.max_compiled.count() / kTenantsPart});
  if (!give(artifact, user, 0640))
    return fail(Errc::internal, "cannot show " + artifact.string() + ": " + std::strerror(errno));
  return {};
}

std::vector<Digest> HostModules::compiled(std::size_t most) const {
  const std::lock_guard lock(mutex_);
  std::vector<Digest> digests(used_.rbegin(), used_.rend());
  if (digests.size() > most) digests.resize(most);
  return digests;
}

std::string HostModules::compiled_for() const {
  const std::string name = engine_->artifact_name({});
  return fs::path(name.substr(name.find('-') + 1)).stem().string();
}

HostModules::Use HostModules::use() const {
  const std::lock_guard lock(mutex_);
  return use_;
}

}  // namespace aloft::host
