#include "cluster/rollout_versions.h"

#include <algorithm>

#include "cluster/hash.h"

namespace aloft::cluster {

std::uint32_t rollout_part(std::string_view session_id) {
  return static_cast<std::uint32_t>(hash_of({session_id}) % 10'000);
}

std::string rollout_id(std::string_view tenant, std::string_view module) {
  return std::string(tenant) + "/" + std::string(module);
}

RolloutName rollout_name(std::string_view id) {
  const auto slash = id.find('/');
  if (slash == std::string_view::npos) return {.tenant = id, .module = {}};
  return {.tenant = id.substr(0, slash), .module = id.substr(slash + 1)};
}

const std::string& version_for(const records::RolloutRecord& rollout, std::uint32_t part,
                               const std::string& asked) {
  const auto& replaced = rollout.replaced();
  if (asked != rollout.from() && std::ranges::find(replaced, asked) == replaced.end()) return asked;
  switch (rollout.state()) {
    case v1::Rollout::RUNNING:
      return part < rollout.percent_hundredths() ? rollout.to() : rollout.from();
    case v1::Rollout::FINISHED: return rollout.to();
    default: return rollout.from();
  }
}

Modules wanted_modules(const Table<records::RolloutRecord>& rollouts, std::string_view tenant,
                       std::string_view session_id, const Modules& asked) {
  Modules wanted = asked;
  const std::uint32_t part = rollout_part(session_id);
  for (v1::ModuleRef& module : wanted) {
    if (const auto rollout = rollouts.find(rollout_id(tenant, module.name())))
      module.set_digest(version_for(*rollout, part, module.digest()));
  }
  return wanted;
}

bool same_modules(const Modules& a, const Modules& b) {
  return std::ranges::equal(a, b, [](const v1::ModuleRef& left, const v1::ModuleRef& right) {
    return left.name() == right.name() && left.digest() == right.digest();
  });
}

}  // namespace aloft::cluster
