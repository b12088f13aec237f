// What an Execution Handler does that runs for one tenant of a cluster: gets into its sandbox,
// obeys the daemon of its host (tenant_link.h), serves.
#pragma once

#include "host/tenant_link.h"

namespace aloft::host {

// Descriptors that the daemon leaves to the process.
inline constexpr int kLinkDescriptor = 3;
inline constexpr int kSocketDescriptor = 4;  // listens already

// From the start of the process to its end; it must have one thread. Gives its exit status.
[[nodiscard]] int serve_tenant();

}  // namespace aloft::host
