#include "identity/jwt.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "identity/base64.h"

namespace aloft::identity {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 8;
constexpr std::size_t kMaxText = 256;  // of a claim that is kept
constexpr std::size_t kMaxKeySet = std::size_t{256} << 10U;
constexpr double kMaxTime = 253402300799;  // the last second of the year 9999

std::unexpected<Error> refused(std::string why) {
  return fail(Errc::refused, "the token is refused: " + std::move(why));
}
std::unexpected<Error> no_token(std::string why) {
  return fail(Errc::corrupt, "no JSON Web Token: " + std::move(why));
}

// An object with no member twice, at any depth: two readers could take a different one of them.
std::optional<Json> parse_object(std::string_view text) {
  std::vector<std::set<std::string>> members;
  bool good = true;
  const auto look = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > kMaxDepth) good = false;
    if (event == Json::parse_event_t::object_start) members.emplace_back();
    if (event == Json::parse_event_t::object_end && !members.empty()) members.pop_back();
    if (event == Json::parse_event_t::key)
      good = good && !members.empty() &&
             members.back().insert(value.get_ref<const std::string&>()).second;
    return good;
  };
  Json json = Json::parse(text, look, /*allow_exceptions=*/false);
  if (!good || !json.is_object()) return std::nullopt;
  return json;
}

std::optional<Json> parse_part(std::string_view part) {
  const auto bytes = from_base64url(part);
  if (!bytes) return std::nullopt;
  return parse_object({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
}

// A text that may be shown, compared and logged. None: not there, no text, or none that is fit.
std::optional<std::string> text_of(const Json& object, std::string_view name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  const auto& text = found->get_ref<const std::string&>();
  const bool printable = std::ranges::all_of(
      text, [](char c) { return static_cast<unsigned char>(c) >= ' ' && c != '\x7f'; });
  if (text.empty() || text.size() > kMaxText || !printable) return std::nullopt;
  return text;
}

// NumericDate of RFC 7519. None: no number, or a time that no token has.
std::optional<std::chrono::sys_seconds> time_of(const Json& object, std::string_view name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  const double value = found->get<double>();
  if (!(value >= 0 && value <= kMaxTime)) return std::nullopt;
  return std::chrono::sys_seconds{
      std::chrono::seconds{static_cast<std::int64_t>(std::floor(value))}};
}

bool is_for(const Json& claims, const std::string& audience) {
  const auto found = claims.find("aud");
  if (found == claims.end()) return false;
  if (found->is_string()) return *found == audience;
  if (!found->is_array()) return false;
  return std::ranges::all_of(*found, [](const Json& one) { return one.is_string(); }) &&
         std::ranges::any_of(*found, [&](const Json& one) { return one == audience; });
}

struct Header {
  KeyType algorithm = KeyType::ed25519;
  std::string key_id;
};

Result<Header> read_header(std::string_view part) {
  const auto header = parse_part(part);
  if (!header) return no_token("its header is not one JSON object in base64url");
  const auto algorithm = text_of(*header, "alg");
  Header read;
  if (algorithm == "EdDSA") {
    read.algorithm = KeyType::ed25519;
  } else if (algorithm == "ES256") {
    read.algorithm = KeyType::ecdsa_p256;
  } else {
    return refused("its `alg` is neither EdDSA nor ES256");
  }
  // What `crit` says has to be understood, and nothing of it is; `b64` changes what is signed.
  if (header->contains("crit") || header->contains("b64"))
    return refused("it has critical extensions (`crit`, `b64`), and none is known");
  if (header->contains("typ")) {
    auto type = text_of(*header, "typ").value_or("");
    std::ranges::transform(type, type.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    if (type != "jwt" && type != "at+jwt" && type != "application/at+jwt")
      return refused("its `typ` is not JWT");
  }
  auto key_id = text_of(*header, "kid");
  if (!key_id) return refused("it does not say which key it is signed with (`kid`)");
  read.key_id = *std::move(key_id);
  return read;
}

Result<JwtClaims> read_claims(const Json& json, const JwtIssuer& issuer,
                              std::chrono::system_clock::time_point now) {
  if (text_of(json, "iss") != issuer.issuer)
    return refused("its issuer (`iss`) is not the one whose key has signed it");
  if (!is_for(json, issuer.audience))
    return refused("it is for somebody else (`aud`), not for " + issuer.audience);

  JwtClaims claims;
  claims.issuer = issuer.issuer;
  const auto issued = time_of(json, "iat");
  const auto expires = time_of(json, "exp");
  if (!issued || !expires) return refused("`iat` and `exp` have to be there, as numbers");
  claims.issued = *issued;
  claims.expires = *expires;
  if (now >= *expires + issuer.leeway) return refused("it has expired; get a new one");
  if (*issued > now + issuer.leeway) return refused("it is of a time that is yet to come (`iat`)");
  if (*expires <= *issued) return refused("it ends before it begins (`exp`, `iat`)");
  if (*expires - *issued > issuer.max_lifetime) {
    return refused("it lives longer than the " + std::to_string(issuer.max_lifetime.count()) +
                   " s that this issuer's tokens may");
  }
  if (json.contains("nbf")) {
    const auto begins = time_of(json, "nbf");
    if (!begins) return refused("`nbf` is not a time");
    if (*begins > now + issuer.leeway) return refused("it is not valid yet (`nbf`)");
  }
  for (const auto& [name, kept] :
       {std::pair<std::string_view, std::string*>{"sub", &claims.subject}, {"jti", &claims.id}}) {
    if (!json.contains(name)) continue;
    auto text = text_of(json, name);
    if (!text) return refused("`" + std::string(name) + "` is not a printable text of at most 256");
    *kept = *std::move(text);
  }
  auto tenant = text_of(json, issuer.tenant_claim);
  if (!tenant) return refused("it names no tenant (`" + issuer.tenant_claim + "`)");
  if (!issuer.tenants.contains(*tenant))
    return refused("its issuer may not speak for the tenant that it names");
  claims.tenant = *std::move(tenant);
  return claims;
}

}  // namespace

Result<JwtClaims> verify_jwt(std::string_view token, std::span<const JwtIssuer> issuers,
                             std::chrono::system_clock::time_point now) {
  if (token.size() > kMaxTokenBytes) return no_token("longer than 8192 bytes");
  const auto first = token.find('.');
  const auto second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos)
    return no_token("it does not have three parts");
  const auto header = read_header(token.substr(0, first));
  if (!header) return std::unexpected(header.error());
  const auto signature = from_base64url(token.substr(second + 1));
  if (!signature) return no_token("its signature is not base64url");

  // Two issuers may call their keys the same; the signature says whose it is. What the token says
  // of itself is read only when it is known to come from one of them.
  const auto message = std::as_bytes(std::span(token.substr(0, second)));
  bool known = false;
  for (const JwtIssuer& issuer : issuers) {
    const auto key = issuer.keys.find(header->key_id);
    if (key == issuer.keys.end()) continue;
    known = true;
    if (key->second.type() != header->algorithm ||
        !key->second.verify(message, *signature, EcdsaFormat::raw))
      continue;
    const auto claims = parse_part(token.substr(first + 1, second - first - 1));
    if (!claims) return refused("its claims are not one JSON object in base64url");
    return read_claims(*claims, issuer, now);
  }
  if (!known) return refused("no issuer that is known here has the key that it names (`kid`)");
  return refused("its signature is not good, or not of the kind that its key has");
}

std::string sign_jwt(const JwtRequest& request, const SigningKey& key) {
  const auto part = [](const Json& json) {
    const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    return to_base64url(std::as_bytes(std::span(text)));
  };
  const JwtClaims& claims = request.claims;
  Json body{{"iss", claims.issuer},
            {"aud", request.audience},
            {"iat", claims.issued.time_since_epoch().count()},
            {"exp", claims.expires.time_since_epoch().count()},
            {request.tenant_claim, claims.tenant}};
  if (!claims.subject.empty()) body["sub"] = claims.subject;
  if (!claims.id.empty()) body["jti"] = claims.id;
  const Json header{{"alg", "EdDSA"}, {"typ", "JWT"}, {"kid", request.key_id}};
  std::string token = part(header) + "." + part(body);
  const Signature signature = key.sign(std::as_bytes(std::span(token)));
  return token + "." + to_base64url(signature);
}

Result<std::map<std::string, PublicKey, std::less<>>> parse_jwk_set(std::string_view json) {
  const auto no_set = [](std::string why) {
    return fail(Errc::corrupt, "no JSON Web Key Set: " + std::move(why));
  };
  if (json.size() > kMaxKeySet) return no_set("larger than 256 KiB");
  const auto set = parse_object(json);
  const auto keys = set ? set->find("keys") : Json::const_iterator{};
  if (!set || keys == set->end() || !keys->is_array())
    return no_set("not a JSON object with an array `keys`");
  std::map<std::string, PublicKey, std::less<>> found;
  for (const Json& key : *keys) {
    if (!key.is_object()) return no_set("a key that is no object");
    if (key.contains("d") || key.contains("k"))
      return no_set("it has a private key in it; publish the public ones alone");
    if (key.contains("use") && key["use"] != "sig") continue;
    const auto id = text_of(key, "kid");
    const auto curve = text_of(key, "crv");
    if (!id || !curve) continue;
    const auto coordinate = [&](std::string_view name) {
      const auto text = text_of(key, name);
      return text ? from_base64url(*text).value_or(std::vector<std::byte>{})
                  : std::vector<std::byte>{};
    };
    const auto type = text_of(key, "kty");
    auto parsed = type == "OKP" && curve == "Ed25519" ? PublicKey::from_ed25519(coordinate("x"))
                  : type == "EC" && curve == "P-256"
                      ? PublicKey::from_p256(coordinate("x"), coordinate("y"))
                      : Result<PublicKey>(fail(Errc::refused, ""));
    if (!parsed && parsed.error().code == Errc::refused) continue;  // a kind that is not of use
    if (!parsed) return no_set("the key " + *id + ": " + parsed.error().message);
    if (!found.emplace(*id, *std::move(parsed)).second) return no_set("two keys are called " + *id);
  }
  if (found.empty())
    return fail(Errc::refused, "a JSON Web Key Set without an Ed25519 or P-256 key that has a kid");
  return found;
}

}  // namespace aloft::identity
