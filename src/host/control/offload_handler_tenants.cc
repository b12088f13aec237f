// The part of the Host Offload Handler that has to do with tenants' processes: they are started
// when their tenant's first session comes, limited to what its sessions have, and ended for others.
#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "host/control/offload_handler.h"
#include "host/control/offload_handler_parts.h"

namespace aloft::host {
namespace {

// Threads of a tenant's process: of each session a few, of each instance one.
constexpr std::uint32_t kThreads = 16'384;
// Millicores. A session that opens costs its process some milliseconds at once, which are not to
// wait for the next period.
constexpr std::uint32_t kLeastCpu = 250;
constexpr int kPlacements = 64;  // named in a heartbeat

}  // namespace

Result<std::shared_ptr<OffloadHandler::Tenant>> OffloadHandler::tenant(const std::string& name) {
  const std::lock_guard lock(mutex_);
  while (true) {
    if (const auto known = tenants_.find(name); known != tenants_.end()) {
      ++known->second->preparing;
      return known->second;
    }
    if (tenants_.size() < options_.max_tenants) break;
    if (!make_room_for_a_tenant()) {
      return fail(Errc::overloaded, "host " + options_.host_id + " has the processes of " +
                                        std::to_string(tenants_.size()) + " tenants, all in use");
    }
  }
  auto made = std::make_shared<Tenant>();
  made->name = name;
  ++made->preparing;
  tenants_.emplace(name, made);
  return made;
}

bool OffloadHandler::make_room_for_a_tenant() {
  for (auto at = tenants_.begin(); at != tenants_.end(); ++at) {
    const std::shared_ptr<Tenant> idle = at->second;
    if (idle->preparing != 0) continue;
    // Nobody who has this mutex waits for the one that is held here, but prepare(): see above.
    const std::lock_guard lock(idle->mutex);
    if (!idle->sessions.empty()) continue;
    tenants_.erase(at);
    // Waited for with the mutex held, or there would be more at a time than there may be.
    idle->process.reset();
    return true;
  }
  return false;
}

Result<std::unique_ptr<TenantPlace>> OffloadHandler::make_place() {
  auto number = PlaceNumbers::claim(numbers_);
  TenantPlaceOptions options{
      .program = options_.program,
      .folder = options_.state / "tenants" / std::to_string(number.number()),
      .cgroup = cgroups_ + std::to_string(number.number()),
      .setup = {.host = options_.host_id,
                .certificate = options_.certificate,
                .key = options_.key,
                .need = options_.need,
                .inference_threads = options_.inference_threads,
                .inferences = options_.inferences,
                .instance_memory = options_.instance_memory,
                .scratch_bytes = options_.tenant_memory,
                .max_sessions = options_.max_sessions,
                .inference_process = inference_ ? inference_->engine_for(0) : std::string()},
      .listen = {options_.listen, 0},
      .log_format = options_.log_format};
  // The first user is the compiler's, the second that of the inference process, if there is one.
  if (options_.first_user)
    options.setup.user = *options_.first_user + (options_.inference ? 2 : 1) + number.number();
  return TenantPlace::make(std::move(options), std::move(number));
}

Result<void> OffloadHandler::start(Tenant& tenant, std::uint32_t gpus) {
  auto place = places_->take();
  if (!place) {
    return fail(place.error().code, "tenant " + tenant.name + ": " + place.error().message);
  }
  // What is made without a GPU in mind is of no use to who has one.
  if (inference_ && inference_->engine_for(gpus) != (*place)->setup().inference_process)
    (void)(*place)->take_handler();
  TenantProcessOptions options{
      .tenant = tenant.name,
      .figures = [this, name = tenant.name](
                     CallFigures::Module module) { calls_.add(name, std::move(module)); },
      .inference = inference_.get(),
      .inference_client = {.share = {.tenant = tenant.name, .inferences = options_.inferences},
                           .memory_bytes = options_.inference_memory,
                           .model_bytes = options_.inference_models,
                           .gpus = gpus}};
  auto process = TenantProcess::start(std::move(options), *std::move(place));
  if (!process) return std::unexpected(std::move(process).error());
  tenant.process = *std::move(process);
  spdlog::info("tenant {}: its Execution Handler listens on {}", tenant.name,
               tenant.process->address().to_string());
  const std::lock_guard lock(mutex_);
  tenant.process->trust(keys_);
  if (const auto now = time_.now()) tenant.process->hear_time(*now);
  return {};
}

void OffloadHandler::limit(Tenant& tenant) {
  std::uint64_t memory = options_.tenant_memory;
  std::uint64_t cpu = 0;
  std::uint32_t gpus = 0;
  bool all_memory = true;
  bool all_cpu = true;
  for (const auto& [id, session] : tenant.sessions) {
    memory += session.resources.memory_bytes();
    cpu += session.resources.cpu_millicores();
    gpus += session.resources.gpus();
    all_memory &= session.resources.memory_bytes() != 0;
    all_cpu &= session.resources.cpu_millicores() != 0;
  }
  // A session without a limit leaves none for the process.
  tenant.memory = std::max(tenant.memory, memory);
  const std::uint32_t millicores =
      all_cpu && cpu != 0
          ? static_cast<std::uint32_t>(std::clamp<std::uint64_t>(cpu, kLeastCpu, 10'000'000))
          : 0;
  tenant.process->limit({.memory_bytes = all_memory ? tenant.memory : 0,
                         .cpu_millicores = millicores,
                         .processes = kThreads});
  tenant.process->limit_inference(millicores, gpus);
}

std::vector<std::shared_ptr<OffloadHandler::Tenant>> OffloadHandler::tenants() {
  std::vector<std::shared_ptr<Tenant>> all;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, tenant] : tenants_) all.push_back(tenant);
  return all;
}

std::size_t OffloadHandler::sessions() {
  std::size_t count = 0;
  for (const auto& tenant : tenants()) {
    const std::lock_guard lock(tenant->mutex);
    count += tenant->sessions.size();
  }
  return count;
}

void OffloadHandler::report(v1::HeartbeatRequest& heartbeat) {
  report_placements(heartbeat);
  for (const auto& tenant : tenants()) {
    const std::unique_lock lock(tenant->mutex, std::try_to_lock);
    if (!lock || !tenant->process) continue;  // the next one tells
    for (const CountedCalls& counted : tenant->process->counts()) {
      auto* const told = heartbeat.add_module_counts();
      told->set_tenant(tenant->name);
      told->set_digest("sha256:" + counted.module.hex());
      told->set_calls(counted.calls);
      told->set_failures(counted.failures);
      told->set_refusals(counted.refusals);
      const auto last = std::ranges::find_if(counted.latency.rbegin(), counted.latency.rend(),
                                             [](std::uint64_t count) { return count != 0; });
      for (auto at = counted.latency.begin(); at != last.base(); ++at) told->add_latency(*at);
    }
  }
}

// Goes on where the last one ended.
void OffloadHandler::report_placements(v1::HeartbeatRequest& heartbeat) {
  std::pair<std::string, std::string> from = std::exchange(reported_, {});
  for (const auto& tenant : tenants()) {
    if (tenant->name < from.first) continue;
    if (tenant->name > from.first) from.second.clear();
    const std::unique_lock lock(tenant->mutex, std::try_to_lock);
    if (!lock) continue;  // the next round has it
    for (auto at = tenant->sessions.upper_bound(from.second); at != tenant->sessions.end(); ++at) {
      auto* const named = heartbeat.add_placements();
      named->set_tenant(tenant->name);
      named->set_session_id(at->first);
      named->set_generation(at->second.generation);
      if (heartbeat.placements_size() < kPlacements) continue;
      reported_ = {tenant->name, at->first};
      return;
    }
  }
}

void OffloadHandler::release(Tenant& tenant, const std::string& session, std::uint64_t generation) {
  const auto known = tenant.sessions.find(session);
  if (known != tenant.sessions.end() && known->second.generation <= generation)
    tenant.sessions.erase(known);
  if (!tenant.process) return;
  tenant.process->release(session, generation);
  limit(tenant);
}

std::vector<OffloadHandler::TenantUse> OffloadHandler::tenants_use() {
  std::vector<TenantUse> all;
  for (const auto& tenant : tenants()) {
    const std::lock_guard lock(tenant->mutex);
    TenantUse use{.tenant = tenant->name, .sessions = tenant->sessions.size()};
    if (tenant->process) {
      use.process = tenant->process->pid();
      use.starts = tenant->process->starts();
    }
    all.push_back(std::move(use));
  }
  return all;
}

void OffloadHandler::show(const std::string& certificate, const std::string& key) {
  for (const auto& tenant : tenants()) {
    const std::lock_guard lock(tenant->mutex);
    if (tenant->process) tenant->process->show(certificate, key);
  }
  places_->renew();
}

std::vector<std::string> OffloadHandler::missing() {
  std::vector<std::string> all;
  for (const auto& tenant : tenants()) {
    const std::lock_guard lock(tenant->mutex);
    if (!tenant->process) continue;
    for (const std::string& what : tenant->process->missing())
      all.push_back(tenant->name + ": " + what);
  }
  return all;
}

void OffloadHandler::end() {
  draining_ = true;
  if (places_) places_->end();
  std::map<std::string, std::shared_ptr<Tenant>> tenants;
  {
    const std::lock_guard lock(mutex_);
    tenants.swap(tenants_);
  }
  for (const auto& [name, tenant] : tenants) {
    const std::lock_guard lock(tenant->mutex);
    if (tenant->process) tenant->process->end();
    tenant->process.reset();
  }
}

}  // namespace aloft::host
