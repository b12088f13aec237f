// The tenants file (TOML): who may use the cluster, how much of it, with which modules; and which
// issuers of tokens are believed. docs/tenants.md shows one.
//
// It is read again whenever something in its folder changes, so that a tenant is added without a
// restart. A file with an error changes nothing: what was good goes on, and the error is told.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/units.h"
#include "cluster/revocations.h"
#include "identity/jwt.h"
#include "identity/public_key.h"
#include <aloft/result.h>

namespace aloft::cluster {

struct Tenant {
  std::string name;  // identity::is_name
  // Of all its sessions together; what is not given in the file is 0, and nothing is allowed.
  std::uint32_t max_sessions = 0;
  Bytes memory;
  std::uint32_t cpu_millicores = 0;
  std::uint32_t gpus = 0;
  // New sessions: so many a second for long, and so many at once.
  double opens_per_second = 10;
  std::uint32_t open_burst = 20;

  bool all_modules = false;  // modules = ["*"]
  std::set<std::string, std::less<>> module_names;
  std::set<Digest> module_digests;
  // A module has to be signed by one of these, unless allow_unsigned.
  std::vector<identity::PublicKey> module_signers;
  bool allow_unsigned = false;
  // What its guests may import, besides WASI without any folder.
  std::set<std::string, std::less<>> host_functions;
  bool is_operator = false;  // may list, drain and move what is not its own

  // A name is the device's word; a digest is what it is, and the host checks both.
  [[nodiscard]] bool allows_module(std::string_view module, const Digest& digest) const;
  [[nodiscard]] bool operator==(const Tenant&) const = default;
};

struct TenantTable {
  std::map<std::string, Tenant, std::less<>> tenants;
  std::vector<identity::JwtIssuer> issuers;
  Revocations revoked;  // of the file beside it

  // nullptr: no such tenant. Valid while the table is.
  [[nodiscard]] const Tenant* find(std::string_view name) const;
  [[nodiscard]] bool operator==(const TenantTable&) const = default;
};

// Files that it names are looked for beside it, and revoked.toml is. Errors: not_found, corrupt (no
// TOML), invalid_argument; they name file, line and key.
[[nodiscard]] Result<TenantTable> load_tenants(const std::filesystem::path& file);

// The file while it is used. Thread rule: any thread.
class Tenants {
 public:
  // Called, on a thread of its own or reload()'s, one call at a time, when another table came to be
  // in force, or when the file had an error and none did. Not for the first one; must not call this
  // object, but for table().
  using Told = std::function<void(const Result<void>&)>;

  // Errors: those of load_tenants; internal (the system gives no watch).
  [[nodiscard]] static Result<std::unique_ptr<Tenants>> open(const std::filesystem::path& file,
                                                             Told told);
  ~Tenants();  // waits for a call of `told`
  Tenants(const Tenants&) = delete;
  Tenants& operator=(const Tenants&) = delete;

  // The table in force; it does not change, a later call may give another one.
  [[nodiscard]] std::shared_ptr<const TenantTable> table() const;
  // Reads the file now, for those who do not want to rely on the watch (network file systems tell
  // nothing); what has come of it is told as well. Errors: those of load_tenants; the table in
  // force stays then.
  [[nodiscard]] Result<void> reload();

 private:
  struct Impl;
  explicit Tenants(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aloft::cluster
