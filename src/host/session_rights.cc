#include "host/session_rights.h"

#include <algorithm>

namespace aloft::host {
namespace {

// Fewer instances with this much are of more use than many with less.
constexpr std::uint64_t kUseful = std::uint64_t{16} << 20U;
constexpr std::uint64_t kLeast = std::uint64_t{1} << 20U;

}  // namespace

void EndMemory::allow(const Digest& module, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  shares_.insert_or_assign(module, bytes);
}

std::shared_ptr<const void> EndMemory::take(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  std::uint64_t allowed = 0;
  for (const auto& [module, share] : shares_) allowed += share;
  if (bytes > allowed || taken_ > allowed - bytes) return nullptr;
  taken_ += bytes;
  return {this, [self = shared_from_this(), bytes](const void*) {
            const std::lock_guard inner(self->mutex_);
            self->taken_ -= bytes;
          }};
}

MemoryShare share_memory(const SessionRights& rights, std::uint32_t wanted, std::uint64_t limit,
                         bool has_classes) {
  const std::uint64_t modules = std::max<std::size_t>(1, rights.modules.size());
  const std::uint64_t all = rights.memory_bytes / modules;
  const std::uint64_t warm = has_classes ? all / 2 : all;
  MemoryShare share{.ends = all - warm};
  if (warm < kLeast) return share;
  const std::uint64_t fit = std::max<std::uint64_t>(1, warm / std::min(kUseful, limit));
  share.instances = static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, fit));
  share.instance = std::min(limit, warm / share.instances);
  return share;
}

ops::LogFields log_fields(const SessionRights* rights) {
  if (rights == nullptr) return {};
  return {{"session", rights->session}, {"trace_id", rights->trace}};
}

}  // namespace aloft::host
