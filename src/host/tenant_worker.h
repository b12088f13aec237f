// What an Execution Handler does that runs for one tenant of a cluster: gets into its sandbox,
// obeys the daemon of its host (tenant_link.h), is told whose it is, serves.
#pragma once

#include <cstddef>
#include <span>

#include "host/tenant_link.h"
#include "identity/name.h"

namespace aloft::host {

// Descriptors that the daemon leaves to the process.
inline constexpr int kLinkDescriptor = 3;
inline constexpr int kSocketDescriptor = 4;  // listens already

// Bytes of the longest tenant's name, for which the process has room among its arguments.
inline constexpr std::size_t kLongestTenant = identity::kMaxName;

// From the start of the process to its end; it must have one thread. `title`: its argument that the
// tenant's name is written to, for those who list processes. Gives its exit status.
[[nodiscard]] int serve_tenant(std::span<char> title);

}  // namespace aloft::host
