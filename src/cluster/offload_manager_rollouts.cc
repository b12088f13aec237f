// The part of the Offload Manager that is about rollouts of new versions of modules.
#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <spdlog/spdlog.h>

#include "cluster/offload_manager.h"
#include "identity/name.h"

namespace aloft::cluster {
namespace {

constexpr std::uint32_t kAll = 10'000;
constexpr std::uint32_t kLongestWindow = 24 * 3600 * 1000;
constexpr std::size_t kMaxModuleName = 128;

Result<void> check(const v1::StartRolloutRequest& request) {
  const auto wrong = [](std::string what) { return fail(Errc::invalid_argument, std::move(what)); };
  if (!identity::is_name(request.tenant())) return wrong("tenant: not a name");
  const std::string& name = request.module().name();
  if (name.empty() || name.size() > kMaxModuleName) return wrong("module: no name");
  if (!is_digest(request.module().digest()))
    return wrong("module: its digest is sha256: and 64 hex digits in lower case");
  if (!request.from().empty() && !is_digest(request.from()))
    return wrong("from: sha256: and 64 hex digits in lower case");
  if (request.from() == request.module().digest())
    return wrong("the new version is the version before");
  if (request.percent_hundredths() > kAll) return wrong("percent: at most 100");
  if (request.limits().max_error_rate() > 1) return wrong("max_error_rate: 0 to 1");
  if (request.limits().window_ms() > kLongestWindow) return wrong("window: at most 24 h");
  return {};
}

using Parts = google::protobuf::RepeatedPtrField<v1::InspectModuleResponse::Part>;

// All that the version before has, with the same types. A device may call any of it.
Result<void> has_all(const Parts& before, const Parts& after, const char* kind) {
  std::map<std::string, std::string> there;
  for (const auto& part : after) there.emplace(part.name(), part.hash());
  for (const auto& part : before) {
    const auto found = there.find(part.name());
    if (found == there.end()) {
      return fail(Errc::signature_mismatch, "the new version has no " + std::string(kind) + " " +
                                                part.name() + ", which devices were built to call");
    }
    if (found->second != part.hash()) {
      return fail(Errc::signature_mismatch, "the " + std::string(kind) + " " + part.name() +
                                                " has other types in the new version, and devices "
                                                "were built with those before: give it a new name");
    }
  }
  return {};
}

}  // namespace

Result<void> OffloadManagerService::compare_versions(const Tenant& tenant,
                                                     const v1::ModuleRef& after,
                                                     const std::string& before) {
  std::vector<std::string> hosts;
  parts_.tables.hosts.for_each([&](const std::string& id, const auto&) { hosts.push_back(id); });
  const auto silent = parts_.placer.silent_hosts(tenant.name);
  std::erase_if(hosts,
                [&](const auto& host) { return std::ranges::find(silent, host) != silent.end(); });
  Error last{Errc::unreachable, "no host is there that could look at the versions"};
  for (const std::string& host : hosts) {
    v1::ModuleRef former = after;
    former.set_digest(before);
    auto one = parts_.placer.inspect(host, tenant, former);
    auto other = one ? parts_.placer.inspect(host, tenant, after) : one;
    if (!other) {
      last = other.error();
      // A host of a version that cannot look into modules says nothing about them.
      if (another_may_do(last.code) || last.code == Errc::version_mismatch) continue;
      return std::unexpected(last);
    }
    if (other->name() != after.name()) {
      return fail(Errc::invalid_argument, "the module " + after.digest() + " is called " +
                                              other->name() + ", not " + after.name());
    }
    if (auto all = has_all(one->functions(), other->functions(), "function"); !all) return all;
    return has_all(one->classes(), other->classes(), "class");
  }
  return std::unexpected(last);
}

OffloadManagerService::Answer OffloadManagerService::start_rollout(
    const Who& who, const v1::StartRolloutRequest& request, v1::Rollout& response) {
  if (auto checked = check(request); !checked) return Answer(checked.error());
  const Tenant* const tenant = who.table->find(request.tenant());
  if (tenant == nullptr) return Answer({Errc::not_found, "no such tenant: " + request.tenant()});
  const v1::ModuleRef& module = request.module();
  if (!tenant->allows_module(module.name(), *Digest::parse(module.digest()))) {
    return Answer({Errc::refused, "tenant " + tenant->name + " may not run this version of " +
                                      module.name() + " (modules of the tenants file)"});
  }
  std::string from = request.from();
  if (from.empty()) {
    auto known = parts_.rollouts.version_in_use(request.tenant(), module.name());
    if (!known) return Answer(known.error());
    from = *std::move(known);
  }
  if (from == module.digest()) {
    return Answer({Errc::invalid_argument,
                   "the module " + module.name() + " has this version everywhere already"});
  }
  if (auto same = compare_versions(*tenant, module, from); !same) return Answer(same.error());
  if (auto started = parts_.rollouts.start(request, from); !started) return Answer(started.error());
  spdlog::info("the rollout of {} of tenant {} to {} is at {}.{:02} %, says {}", module.name(),
               tenant->name, module.digest(), request.percent_hundredths() / 100,
               request.percent_hundredths() % 100, who.caller.name);
  parts_.caretaker.wake();
  if (auto view = parts_.rollouts.view(request.tenant(), module.name()))
    response = *std::move(view);
  return {};
}

grpc::ServerUnaryReactor* OffloadManagerService::StartRollout(
    Context* context, const v1::StartRolloutRequest* request, v1::Rollout* response) {
  return handle(Lane::placing, context, "StartRollout", Rights::operator_,
                [=, this](const Who& who) { return start_rollout(who, *request, *response); });
}

grpc::ServerUnaryReactor* OffloadManagerService::EndRollout(Context* context,
                                                            const v1::EndRolloutRequest* request,
                                                            v1::Rollout* response) {
  return handle(Lane::quick, context, "EndRollout", Rights::operator_, [=, this](const Who& who) {
    if (request->how() != v1::EndRolloutRequest::ABORT &&
        request->how() != v1::EndRolloutRequest::FINISH) {
      return Answer({Errc::invalid_argument, "how: ABORT or FINISH"});
    }
    auto ended = parts_.rollouts.end(request->tenant(), request->module(), request->how());
    if (!ended) return Answer(ended.error());
    spdlog::info("the rollout of {} of tenant {} is over: {}, says {}", request->module(),
                 request->tenant(), v1::EndRolloutRequest::How_Name(request->how()),
                 who.caller.name);
    parts_.caretaker.wake();
    if (auto view = parts_.rollouts.view(request->tenant(), request->module()))
      *response = *std::move(view);
    return Answer();
  });
}

grpc::ServerUnaryReactor* OffloadManagerService::ListRollouts(
    Context* context, const v1::ListRolloutsRequest* request, v1::ListRolloutsResponse* response) {
  return handle(Lane::quick, context, "ListRollouts", Rights::operator_, [=, this](const Who&) {
    for (v1::Rollout& view : parts_.rollouts.views(request->tenant(), request->module()))
      *response->add_rollouts() = std::move(view);
    return Answer();
  });
}

}  // namespace aloft::cluster
