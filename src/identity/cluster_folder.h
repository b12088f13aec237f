// The folder that `aloft cluster init` makes: who a cluster is. It holds the authority's and the
// tickets' secret keys, and is for the machine of whoever runs the cluster; managers get ca.pem,
// ticket* and manager.*, hosts ca.pem and host-NAME.*, devices ca.pem and tenant-NAME.*.
//
//   ca.pem ca.key             the authority: what all trust; what certificates are made with
//   ticket.key ticket.pub     what managers sign tickets with (ticket_keys.h)
//   manager.pem manager.key   operator.pem operator.key   tenant-default.pem tenant-default.key
//   tenants.toml              who may do how much (cluster/tenants.h)
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "identity/certificate.h"
#include <aloft/result.h>

namespace aloft::identity {

enum class Unsigned : std::uint8_t { refused, allowed };

struct NewCluster {
  std::string name = "default";
  // At which the manager is reached.
  std::vector<std::string> manager_hosts{"localhost", "127.0.0.1", "::1"};
  // Whether the tenant `default` may run modules that nobody has signed.
  Unsigned modules = Unsigned::refused;
};

// All of it or nothing: the folder is made under another name first. It may be there, and empty.
// Errors: refused (something is in it), invalid_argument, internal.
[[nodiscard]] Result<void> create_cluster_folder(const std::filesystem::path& folder,
                                                 const NewCluster& cluster);

// "manager", "operator", "host-h1", "tenant-default": under which name a certificate is saved
// there. The manager and the operator that have their role's name are called by it alone.
[[nodiscard]] std::string file_name_of(const Identity& identity);

// The authority is replaced in three steps, each given to all managers, hosts and devices before
// the next:
//   1. ca.pem has the next authority as well (ca-next.*): all trust both
//   2. the next one is in use; now every certificate is to be issued anew (--replace)
//   3. ca.pem has the old authority no more
enum class AuthorityRotation : std::uint8_t { next_trusted, next_in_use, old_distrusted };
// The step that is due; one that was cut off is made again. Errors: those of Authority::load,
// internal.
[[nodiscard]] Result<AuthorityRotation> rotate_authority(const std::filesystem::path& folder);

}  // namespace aloft::identity
