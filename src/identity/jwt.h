// JSON Web Tokens (RFC 7519) with which a tenant's devices show who they are where they have no
// client certificate: signed by an issuer whose keys the cluster's configuration has.
//
// What is taken is narrow on purpose. `alg` is ES256 or EdDSA, and decides nothing: the key that
// `kid` names has a type, and `alg` has to be that type's. A token says what its key is nowhere
// else (jwk, jku, x5u, x5c are not looked at), has no `crit`, no member twice, and is short.
// Debian's libraries for this know no EdDSA (libjwt, cpp-jwt), or bring a second cryptographic
// library and fetch keys by themselves (rhonabwy); so OpenSSL verifies and nlohmann-json parses.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "identity/public_key.h"
#include "identity/signing_key.h"
#include <aloft/result.h>

namespace aloft::identity {

inline constexpr std::size_t kMaxTokenBytes = 8192;

// Whom the cluster believes, and in what.
struct JwtIssuer {
  std::string issuer;                                         // `iss`, exactly
  std::string audience;                                       // `aud` has it
  std::string tenant_claim = "tenant";                        // where the token names its tenant
  std::set<std::string, std::less<>> tenants;                 // the tenants that it may speak for
  std::map<std::string, PublicKey, std::less<>> keys;         // by `kid`
  std::chrono::seconds max_lifetime{std::chrono::hours{24}};  // from `iat` to `exp`
  std::chrono::seconds leeway{30};  // how far its clock and ours may be apart

  [[nodiscard]] bool operator==(const JwtIssuer&) const = default;
};

// What a token said, all of it checked.
struct JwtClaims {
  std::string issuer;
  std::string subject;  // `sub`, for logs; may be empty
  std::string tenant;
  std::string id;  // `jti`; may be empty
  std::chrono::sys_seconds issued{};
  std::chrono::sys_seconds expires{};

  [[nodiscard]] bool operator==(const JwtClaims&) const = default;
};

// `now` is the time of the wall: what issuers speak of. `exp` and `iat` have to be there, `nbf`
// may. Errors, all of code `refused` but the first: corrupt (no token at all); each message says
// what was wrong, and shows nothing of the token that could forge a line of a log.
[[nodiscard]] Result<JwtClaims> verify_jwt(std::string_view token,
                                           std::span<const JwtIssuer> issuers,
                                           std::chrono::system_clock::time_point now);

struct JwtRequest {
  JwtClaims claims;
  std::string audience;
  std::string tenant_claim = "tenant";
  std::string key_id;
};
// For clusters without an identity provider (`aloft token issue`): signed with EdDSA.
[[nodiscard]] std::string sign_jwt(const JwtRequest& request, const SigningKey& key);

// The keys of a JSON Web Key Set (RFC 7517) that are of use here: with a `kid`, of a type that
// PublicKey knows, not meant for encryption. Errors: corrupt (no such set; a private key in it; a
// `kid` twice), refused (no key that is of use).
[[nodiscard]] Result<std::map<std::string, PublicKey, std::less<>>> parse_jwk_set(
    std::string_view json);

}  // namespace aloft::identity
