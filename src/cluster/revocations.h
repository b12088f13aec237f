// Whom a cluster refuses though what they show is good still: certificates, tokens and tenants that
// the file `revoked.toml` beside the tenants file names. A stolen laptop is one line in it.
//
//   [[revoked]]
//   key = "sha256:5f...e1"     # the certificates of this public key, or
//   serial = "4a...07"         # the certificate with this serial number, or
//   token = "01J9..."          # the tokens with this `jti`, or
//   tenant = "acme"            # all certificates and tokens of this tenant
//   on = "2026-03-14"          # for people, as the next one
//   reason = "laptop stolen"
//
// Managers read it with the tenants file, and again when it changes: what it names is refused at
// its next request, and sessions that were opened with it, or are for its key, are closed. No file:
// nobody.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/digest.h"
#include <aloft/result.h>

namespace aloft::cluster {

inline constexpr std::string_view kRevokedFile = "revoked.toml";
inline constexpr std::size_t kMaxRevocations = 10'000;

// What somebody showed, by which it can be revoked; empty is what was not shown.
struct Shown {
  std::optional<Digest> key;  // of a certificate
  std::string serial;         // of it, as identity::CertificateMark
  std::string token;          // `jti`
  std::string tenant;
};

struct Revocations {
  std::set<Digest> keys;
  std::set<std::string, std::less<>> serials, tokens, tenants;

  [[nodiscard]] bool covers(const Shown& shown) const;
  [[nodiscard]] bool empty() const;
  [[nodiscard]] bool operator==(const Revocations&) const = default;
};

// Of a folder; nothing is revoked where it has no such file. Errors: invalid_argument; they name
// file, line and key.
[[nodiscard]] Result<Revocations> load_revocations(const std::filesystem::path& folder);

struct Revocation {
  std::optional<Digest> key;
  std::string serial, token, tenant;  // one of the four
  std::string reason;
};
// Adds it to the folder's file, which is made where there is none, all or nothing. False: it was in
// it. Errors: those of load_revocations; invalid_argument (not one of the four, or not good);
// internal.
[[nodiscard]] Result<bool> revoke(const std::filesystem::path& folder,
                                  const Revocation& revocation);

}  // namespace aloft::cluster
