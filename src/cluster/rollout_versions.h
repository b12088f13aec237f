// Which version of its modules a session is to run, by the rollouts that there are
// (docs/rollout.md).
//
// A session's part is fixed by a hash of its id: a rollout at 30 % has all sessions that it had at
// 10 %, and more. What the device asked for says which rollouts concern it, so that a session that
// asked for the new version itself keeps that, whatever becomes of the rollout.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "aloft/cluster/records.pb.h"
#include "cluster/table.h"

namespace aloft::cluster {

using Modules = google::protobuf::RepeatedPtrField<v1::ModuleRef>;

// In [0, 10,000); the same at every manager, of whatever build.
[[nodiscard]] std::uint32_t rollout_part(std::string_view session_id);
// The key of a rollout's record. A tenant's name has no '/'.
[[nodiscard]] std::string rollout_id(std::string_view tenant, std::string_view module);
struct RolloutName {
  std::string_view tenant, module;
};
[[nodiscard]] RolloutName rollout_name(std::string_view id);

// Of one module that was asked for: the digest to run.
[[nodiscard]] const std::string& version_for(const records::RolloutRecord& rollout,
                                             std::uint32_t part, const std::string& asked);
// Of all modules of a session of this tenant. Without a rollout: what was asked for.
[[nodiscard]] Modules wanted_modules(const Table<records::RolloutRecord>& rollouts,
                                     std::string_view tenant, std::string_view session_id,
                                     const Modules& asked);
[[nodiscard]] bool same_modules(const Modules& a, const Modules& b);

}  // namespace aloft::cluster
