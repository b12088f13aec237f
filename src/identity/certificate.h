// Who somebody is in a cluster, as their X.509 certificate says it, and the authority that issues
// these (`aloft cluster init`). ECDSA P-256, OpenSSL's doing.
//
// The identity is a URI among the subject alternative names:
//   aloft://CLUSTER/manager/NAME    aloft://CLUSTER/host/NAME
//   aloft://CLUSTER/tenant/NAME     aloft://CLUSTER/operator/NAME
// Names of hosts (DNS, IP) stand beside it, so that ordinary TLS libraries check them as usual. A
// manager and a host may be server and client, a tenant and an operator client alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "identity/key_file.h"
#include "identity/name.h"
#include <aloft/result.h>

namespace aloft::identity {

enum class Role : std::uint8_t { manager, host, tenant, operator_ };
// "manager", "host", "tenant", "operator"; and back.
[[nodiscard]] std::string_view to_string(Role role);
[[nodiscard]] std::optional<Role> parse_role(std::string_view text);

struct Identity {
  std::string cluster;
  Role role = Role::tenant;
  std::string name;  // is_name, as the cluster's

  [[nodiscard]] bool operator==(const Identity&) const = default;
};

// Of the first certificate in a PEM text, which the caller's TLS library has verified against the
// cluster's authority. Errors: corrupt (no certificate), refused (no identity of aloft's in it, or
// more than one).
[[nodiscard]] Result<Identity> identity_of(std::string_view certificate_pem);
// SHA-256 of its SubjectPublicKeyInfo (DER): what a ticket is bound to. Errors: corrupt.
[[nodiscard]] Result<Digest> public_key_digest(std::string_view certificate_pem);

// By what a certificate is told from all others, whoever it says that it is of.
struct CertificateMark {
  Digest public_key;   // as public_key_digest()
  std::string serial;  // hex digits in lower case, two for each byte

  [[nodiscard]] bool operator==(const CertificateMark&) const = default;
};
// Of the first one. Errors: corrupt.
[[nodiscard]] Result<CertificateMark> mark_of(std::string_view certificate_pem);

// What a certificate says, for people and for renewing it; nothing of it is verified.
struct CertificateView {
  std::optional<Identity> identity;
  CertificateMark mark;
  std::vector<std::string> hosts;
  std::chrono::sys_seconds not_before{}, not_after{};
};
// Of each certificate in a PEM text, in order. Errors: corrupt.
[[nodiscard]] Result<std::vector<CertificateView>> view_certificates(std::string_view pem);

struct CertificateRequest {
  Identity identity;
  std::vector<std::string> hosts;  // DNS names and IP addresses; a server needs some
  std::chrono::days valid_for{365};
};

struct IssuedCertificate {
  std::string certificate_pem;
  std::string key_pem;
};

// A cluster's authority. Thread rule: immutable.
//
// ca.pem is what all of a cluster trust: the authority's own certificate first, and while it is
// being replaced the other one behind it (docs/operations.md, "Rotation").
class Authority {
 public:
  // A new one, valid for ten years. Errors: invalid_argument (not a cluster's name).
  [[nodiscard]] static Result<Authority> create(std::string_view cluster);
  // From NAME.pem and NAME.key of a folder. Errors: not_found, corrupt (also: the key is not that
  // of the first certificate), refused (others may read the key); they name the file.
  [[nodiscard]] static Result<Authority> load(const std::filesystem::path& folder,
                                              std::string_view name = "ca");
  // Writes them, the key with permissions 0600, the folder 0700 when it makes it; never over files
  // that are there. Errors: refused, internal.
  [[nodiscard]] Result<void> save(const std::filesystem::path& folder,
                                  std::string_view name = "ca") const;

  // Errors: invalid_argument (a name or host that is none, a server without hosts, another cluster,
  // a time that ends after the authority's own).
  [[nodiscard]] Result<IssuedCertificate> issue(const CertificateRequest& request) const;
  [[nodiscard]] const std::string& certificate_pem() const { return certificate_pem_; }
  [[nodiscard]] const std::string& key_pem() const { return key_pem_; }
  [[nodiscard]] const std::string& cluster() const { return cluster_; }

 private:
  Authority() = default;
  std::string cluster_, certificate_pem_, key_pem_;
};

// An identity's certificate and key as files, NAME.pem and NAME.key (0600). Errors: refused (there
// already), internal.
[[nodiscard]] Result<void> save(const IssuedCertificate& issued,
                                const std::filesystem::path& folder, std::string_view name,
                                Existing existing = Existing::refuse);

}  // namespace aloft::identity
