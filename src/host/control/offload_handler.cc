#include "host/control/offload_handler.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "host/control/offload_handler_parts.h"
#include "identity/name.h"
#include "identity/public_key.h"

namespace aloft::host {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxModules = 64;
constexpr std::size_t kMaxId = 128;
constexpr std::size_t kMaxCounted = 64;  // modules

std::string name_of(const fs::path& folder) {
  constexpr std::size_t kDigits = 12;
  const std::string path = fs::absolute(folder).lexically_normal().string();
  return sha256(std::as_bytes(std::span(path))).hex().substr(0, kDigits);
}

}  // namespace

Result<std::unique_ptr<OffloadHandler>> OffloadHandler::create(OffloadHandlerOptions options) {
  std::error_code error;
  fs::create_directories(options.state, error);
  fs::permissions(options.state, fs::perms::owner_all, error);
  fs::remove_all(options.state / "tenants", error);
  fs::create_directories(options.state / "tenants", error);
  if (error)
    return fail(Errc::internal, "cannot use " + options.state.string() + ": " + error.message());
  if (!fs::exists(options.program, error))
    return fail(Errc::not_found, "no such program: " + options.program.string());
  std::unique_ptr<OffloadHandler> handler(new OffloadHandler(std::move(options)));
  const auto& given = handler->options_;
  auto modules = HostModules::open({.state = given.state,
                                    .fetch = given.fetch,
                                    .compile = {.program = given.program,
                                                .root = given.state / "compile-root",
                                                .user = given.first_user,
                                                .need = given.need,
                                                .limit = given.compile_limit,
                                                .memory_bytes = given.compile_memory},
                                    .max_modules = given.max_modules,
                                    .max_compiled = given.max_compiled});
  if (!modules) return std::unexpected(std::move(modules).error());
  handler->modules_ = *std::move(modules);
  const auto keep_places = [raw = handler.get()] {
    raw->places_ = std::make_unique<SparePlaces>(raw->options_.spare_places,
                                                 [raw] { return raw->make_place(); });
  };
  if (!given.inference) {
    keep_places();
    return handler;
  }
  InferProcessOptions inference = *given.inference;
  inference.setup.root = given.state / "infer-root";
  inference.setup.need = given.need;
  if (given.first_user) inference.setup.user = *given.first_user + 1;
  fs::create_directories(inference.setup.root, error);
  auto process = InferProcess::start(std::move(inference));
  if (!process) return std::unexpected(std::move(process).error());
  handler->inference_ = *std::move(process);
  for (const std::string& what : handler->inference_->ready().missing)
    spdlog::warn("aloft-infer: {}", what);
  spdlog::info("aloft-infer: {}{}", handler->inference_->ready().engine,
               handler->gpus().empty()
                   ? ""
                   : ", for tenants with a GPU " + handler->inference_->ready().accelerated);
  keep_places();
  return handler;
}

// No other host of this machine has the same folder, and the next process that has it takes over
// the groups that this one may leave behind.
OffloadHandler::OffloadHandler(OffloadHandlerOptions options)
    : options_(std::move(options)), cgroups_("tenant-" + name_of(options_.state) + "-") {}
OffloadHandler::~OffloadHandler() { end(); }

Result<OffloadHandler::Wanted> OffloadHandler::read(const v1::PrepareRequest& request) const {
  const auto wrong = [](std::string what) { return fail(Errc::invalid_argument, std::move(what)); };
  if (!identity::is_name(request.tenant())) return wrong("tenant: not a name");
  if (request.session_id().empty() || request.session_id().size() > kMaxId)
    return wrong("session_id: 1 to 128 bytes");
  if (request.modules().empty() || request.modules_size() > kMaxModules)
    return wrong("modules: 1 to 64");
  Wanted wanted;
  for (const auto& module : request.modules()) {
    auto digest = Digest::parse(module.digest());
    if (!digest) return wrong("modules: " + digest.error().message);
    wanted.modules.push_back({module.name(), *digest});
  }
  for (const std::string& der : request.module_signers()) {
    auto key = identity::PublicKey::from_der(std::as_bytes(std::span(der)));
    if (!key) return wrong("module_signers: " + key.error().message);
    wanted.verification.signers.push_back(*std::move(key));
  }
  wanted.verification.unsigned_artifacts =
      request.allow_unsigned_modules() ? oci::Unsigned::allow : oci::Unsigned::refuse;
  wanted.imports.insert(request.host_functions().begin(), request.host_functions().end());
  return wanted;
}

Result<HostModules::Module> OffloadHandler::get_module(const std::string& tenant,
                                                       const std::string& name,
                                                       const Digest& digest, const Wanted& wanted) {
  auto module = modules_->get(digest, wanted.verification, tenant);
  if (!module) return module;
  for (const std::string& import : module->imports) {
    if (wanted.imports.contains(import)) continue;
    return fail(Errc::refused, "the module " + name + " imports " + import + ", which the tenant " +
                                   tenant + " is not granted (host_functions of the tenants file)");
  }
  return module;
}

Result<v1::InspectModuleResponse> OffloadHandler::inspect(const v1::InspectModuleRequest& request) {
  if (draining_) return fail(Errc::unreachable, "host " + options_.host_id + " is going away");
  v1::PrepareRequest as_prepare;
  as_prepare.set_tenant(request.tenant());
  as_prepare.set_session_id("none");
  *as_prepare.add_modules() = request.module();
  *as_prepare.mutable_host_functions() = request.host_functions();
  *as_prepare.mutable_module_signers() = request.module_signers();
  as_prepare.set_allow_unsigned_modules(request.allow_unsigned_modules());
  const auto wanted = read(as_prepare);
  if (!wanted) return std::unexpected(wanted.error());
  const auto& [name, digest] = wanted->modules.front();
  auto module = get_module(request.tenant(), name, digest, *wanted);
  if (!module) return std::unexpected(std::move(module).error());
  auto manifest = modules_->manifest(digest);
  if (!manifest) return std::unexpected(std::move(manifest).error());
  v1::InspectModuleResponse response;
  response.set_name(manifest->module);
  for (const auto& function : manifest->functions) {
    auto* const part = response.add_functions();
    part->set_name(function.name);
    part->set_hash(function.signature_hash);
  }
  for (const auto& object : manifest->objects) {
    auto* const part = response.add_classes();
    part->set_name(object.name);
    part->set_hash(object.state_hash);
  }
  return response;
}

Result<v1::PrepareResponse> OffloadHandler::prepare(const v1::PrepareRequest& request,
                                                    const ops::Trace& trace) {
  if (draining_) return fail(Errc::unreachable, "host " + options_.host_id + " is going away");
  const auto wanted = read(request);
  if (!wanted) return std::unexpected(wanted.error());

  std::vector<HostModules::Module> modules;
  std::chrono::microseconds compile_time{};
  for (const auto& [name, digest] : wanted->modules) {
    auto module = get_module(request.tenant(), name, digest, *wanted);
    if (!module) return std::unexpected(std::move(module).error());
    compile_time += module->compile_time;
    modules.push_back(*std::move(module));
  }

  auto found = tenant(request.tenant());
  if (!found) return std::unexpected(std::move(found).error());
  const std::shared_ptr<Tenant> tenant = *std::move(found);
  const struct Wish {
    Tenant& of;
    ~Wish() { --of.preparing; }
  } wish{*tenant};

  const std::lock_guard lock(tenant->mutex);
  if (!tenant->process) {
    if (auto started = start(*tenant, request.resources().gpus()); !started)
      return std::unexpected(started.error());
  }
  const TenantSetup& setup = tenant->process->setup();
  for (const HostModules::Module& module : modules) {
    if (auto shown = modules_->show(module, setup.modules, setup.compiled, setup.user); !shown)
      return std::unexpected(std::move(shown).error());
  }
  auto& session = tenant->sessions[request.session_id()];
  if (request.generation() >= session.generation)
    session = {request.generation(), request.resources()};
  limit(*tenant);
  tenant->process->expect(request.session_id(), request.generation(), trace.id());
  if (draining_) {
    tenant->process->release(request.session_id(), request.generation());
    return fail(Errc::unreachable, "host " + options_.host_id + " is going away");
  }

  v1::PrepareResponse response;
  const net::Address& at = tenant->process->address();
  const std::string& host = options_.advertise.empty() ? at.host : options_.advertise;
  response.set_address(net::Address{host, at.port}.to_string());
  response.set_boot_id(tenant->process->boot_id());
  response.set_compile_us(static_cast<std::uint64_t>(compile_time.count()));
  return response;
}

std::vector<std::string> OffloadHandler::gpus() const {
  return inference_ ? inference_->ready().gpus : std::vector<std::string>{};
}

Result<void> OffloadHandler::release(const v1::ReleaseRequest& request) {
  std::shared_ptr<Tenant> tenant;
  {
    const std::lock_guard lock(mutex_);
    const auto found = tenants_.find(request.tenant());
    if (found == tenants_.end()) return {};
    tenant = found->second;
  }
  const std::lock_guard lock(tenant->mutex);
  release(*tenant, request.session_id(), request.generation());
  return {};
}

void OffloadHandler::hear(const v1::HeartbeatResponse& heartbeat) {
  std::vector<std::array<std::byte, 32>> keys;
  for (const auto& key : heartbeat.ticket_keys()) {
    std::array<std::byte, 32> raw{};
    const auto bytes = std::as_bytes(std::span(key.ed25519_public_key()));
    if (bytes.size() != raw.size()) continue;
    std::ranges::copy(bytes, raw.begin());
    keys.push_back(raw);
  }
  std::optional<identity::ClusterTime> now;
  {
    const std::lock_guard lock(mutex_);
    // A manager that has none to tell is no reason to trust nobody.
    if (!keys.empty()) keys_ = keys;
    if (heartbeat.cluster_time_ms() != 0)
      time_.hear(identity::ClusterTime{static_cast<std::int64_t>(heartbeat.cluster_time_ms())});
    now = time_.now();
    keys = keys_;
  }
  std::vector<Digest> counted;
  for (const std::string& text : heartbeat.counted_modules()) {
    auto digest = Digest::parse(text);
    if (digest && counted.size() < kMaxCounted) counted.push_back(*digest);
  }
  for (const auto& tenant : tenants()) {
    // One that is being started hears it at the end of that.
    const std::unique_lock lock(tenant->mutex, std::try_to_lock);
    if (!lock || !tenant->process) continue;
    for (const v1::PlacementName& ended : heartbeat.ended()) {
      if (ended.tenant() != tenant->name || !tenant->sessions.contains(ended.session_id()))
        continue;
      spdlog::info("placement {} of session {} has ended while this host was away",
                   ended.generation(), ended.session_id());
      release(*tenant, ended.session_id(), ended.generation());
    }
    tenant->process->trust(keys);
    tenant->process->count(counted);
    if (now) tenant->process->hear_time(*now);
  }
}

std::optional<identity::ClusterTime> OffloadHandler::cluster_time() {
  const std::lock_guard lock(mutex_);
  return time_.now();
}

}  // namespace aloft::host
