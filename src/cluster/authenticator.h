// Who calls a manager: by the certificate that the caller's TLS has proved, or, without one, by the
// bearer token (JWT) in the metadata key `authorization`.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <grpcpp/server_context.h>

#include "cluster/tenants.h"
#include "identity/certificate.h"
#include <aloft/result.h>

namespace aloft::cluster {

struct Caller {
  identity::Role role = identity::Role::tenant;
  std::string name;
  Shown shown;  // what it is known by; its tenant only where it is one
};

// Thread rule: any thread.
class Authenticator {
 public:
  using Table = std::function<std::shared_ptr<const TenantTable>()>;

  Authenticator(std::string cluster, Table table);

  // Errors, all of code `refused`: nothing was shown, or what was shown is not of this cluster, not
  // good, or revoked; each message says what to do.
  [[nodiscard]] Result<Caller> who(const grpc::ServerContextBase& context) const;

 private:
  [[nodiscard]] Result<Caller> shown_by(const grpc::ServerContextBase& context,
                                        const TenantTable& table) const;

  const std::string cluster_;
  const Table table_;
};

}  // namespace aloft::cluster
