// The processes of a host that serve its tenants, as the system lists them: for tests that kill
// one, or that count on none being replaced.
#pragma once

#include <map>
#include <string>

#include <sys/types.h>

namespace aloft::testing {

// By process, its tenant, of all below this one: an aloft-host, or who has started some. Those that
// wait for a tenant to come (`tenants.spare`) are not among them.
[[nodiscard]] std::map<pid_t, std::string> tenant_processes(pid_t daemon);

}  // namespace aloft::testing
