#include "identity/jwt.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/ec.h>

#include "identity/base64.h"
#include "identity/openssl.h"
#include "identity/testing/bytes.h"

namespace aloft::identity {
namespace {

using namespace std::chrono_literals;
using testing::bytes_of;
using testing::from_hex;

constexpr std::chrono::sys_seconds kNow{1'800'000'000s};

// An issuer's P-256 key; aloft itself only ever verifies with one.
class EcdsaKey {
 public:
  EcdsaKey() : key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")) {}

  [[nodiscard]] PublicKey open() const {
    unsigned char* der = nullptr;
    const int size = i2d_PUBKEY(key_.get(), &der);
    auto key =
        PublicKey::from_der(std::as_bytes(std::span(der, static_cast<std::size_t>(size)))).value();
    OPENSSL_free(der);
    return key;
  }
  [[nodiscard]] std::vector<std::byte> sign_der(std::string_view message) const {
    const OwnedDigestContext context(EVP_MD_CTX_new());
    std::vector<std::byte> der(128);
    std::size_t size = der.size();
    require(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) == 1 &&
            EVP_DigestSign(context.get(), writable(der), &size,
                           reinterpret_cast<const unsigned char*>(message.data()),
                           message.size()) == 1);
    der.resize(size);
    return der;
  }
  [[nodiscard]] std::vector<std::byte> sign(std::string_view message) const {
    const auto der = sign_der(message);
    const unsigned char* at = uchars(der);
    const Owned<ECDSA_SIG, ECDSA_SIG_free> signature(
        d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
    std::vector<std::byte> raw(64);
    require(BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), writable(raw), 32) == 32 &&
            BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), writable(raw) + 32, 32) == 32);
    return raw;
  }

 private:
  OwnedKey key_;
};

std::string encoded(std::string_view text) { return to_base64url(bytes_of(text)); }

// A cluster that believes two issuers, and the keys of these.
class Jwt : public ::testing::Test {
 protected:
  Jwt() {
    issuers_.push_back({.issuer = "https://id.example",
                        .audience = "aloft",
                        .tenants = {"acme", "umbrella"},
                        .keys = {{"ed", PublicKey::from_ed25519(ed_.verifying().raw()).value()},
                                 {"es", es_.open()}}});
    issuers_.push_back(
        {.issuer = "https://other.example",
         .audience = "aloft",
         .tenant_claim = "org",
         .tenants = {"other"},
         .keys = {{"ed", PublicKey::from_ed25519(other_.verifying().raw()).value()}}});
  }

  [[nodiscard]] Result<JwtClaims> verify(std::string_view token) const {
    return verify_jwt(token, issuers_, kNow);
  }
  // Signed as its header says, or not at all.
  [[nodiscard]] std::string token(std::string_view header, std::string_view claims) const {
    const std::string message = encoded(header) + "." + encoded(claims);
    if (header.find("ES256") != std::string_view::npos)
      return message + "." + to_base64url(es_.sign(message));
    return message + "." + to_base64url(ed_.sign(bytes_of(message)));
  }
  // A good token with another header, or with other claims.
  [[nodiscard]] Result<JwtClaims> with_header(std::string_view header) const {
    return verify(token(header, kClaims));
  }
  [[nodiscard]] Result<JwtClaims> with_claims(std::string_view claims) const {
    return verify(token(kHeader, claims));
  }
  static void expect_refused(const Result<JwtClaims>& outcome, std::string_view because,
                             Errc code = Errc::refused) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, code) << outcome.error().message;
    EXPECT_NE(outcome.error().message.find(because), std::string::npos) << outcome.error().message;
  }

  static constexpr std::string_view kHeader = R"({"alg":"EdDSA","kid":"ed","typ":"JWT"})";
  static constexpr std::string_view kClaims =
      R"({"iss":"https://id.example","aud":"aloft","iat":1799999990,"exp":1800000600,"tenant":"acme","sub":"drone-7","jti":"1"})";

  SigningKey ed_ = SigningKey::generate();
  SigningKey other_ = SigningKey::generate();
  EcdsaKey es_;
  std::vector<JwtIssuer> issuers_;
};

TEST_F(Jwt, of_either_algorithm_is_good) {
  for (const std::string_view header :
       {kHeader, std::string_view(R"({"alg":"ES256","kid":"es"})"),
        std::string_view(R"({"typ":"at+jwt","alg":"EdDSA","kid":"ed"})"),
        std::string_view(R"({"typ":"jwt","alg":"EdDSA","kid":"ed","x":[{}]})")}) {
    const auto claims = with_header(header);
    ASSERT_TRUE(claims) << claims.error().message;
    EXPECT_EQ(*claims, (JwtClaims{.issuer = "https://id.example",
                                  .subject = "drone-7",
                                  .tenant = "acme",
                                  .id = "1",
                                  .issued = std::chrono::sys_seconds{1799999990s},
                                  .expires = std::chrono::sys_seconds{1800000600s}}));
  }
}

TEST_F(Jwt, that_we_sign_is_one_that_we_take) {
  const JwtClaims claims{.issuer = "https://other.example",
                         .subject = "d",
                         .tenant = "other",
                         .id = "",
                         .issued = kNow,
                         .expires = kNow + 1h};
  const auto verified = verify(sign_jwt(
      {.claims = claims, .audience = "aloft", .tenant_claim = "org", .key_id = "ed"}, other_));
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(*verified, claims);
}

TEST_F(Jwt, without_a_signature_is_refused_whatever_alg_says) {
  for (const std::string_view alg : {"none", "None", "NONE", "nOnE", ""}) {
    const std::string header = R"({"alg":")" + std::string(alg) + R"(","kid":"ed"})";
    expect_refused(verify(encoded(header) + "." + encoded(kClaims) + "."), "alg");
    expect_refused(with_header(header), "alg");
  }
  expect_refused(verify(encoded(kHeader) + "." + encoded(kClaims) + "."), "signature");
  expect_refused(verify(encoded(kHeader) + "." + encoded(kClaims)), "three parts", Errc::corrupt);
  expect_refused(with_header(R"({"kid":"ed"})"), "alg");
  expect_refused(with_header(R"({"alg":null,"kid":"ed"})"), "alg");
  expect_refused(with_header(R"({"alg":["EdDSA"],"kid":"ed"})"), "alg");
}

// The classic: HMAC with the public key, which everybody has, as its secret.
TEST_F(Jwt, of_hmac_and_of_rsa_is_refused) {
  for (const std::string_view alg : {"HS256", "HS384", "HS512", "RS256", "PS256", "ES384", "ES512",
                                     "ES256K", "Ed25519", "eddsa", "es256", "EdDSA "}) {
    const std::string header = R"({"alg":")" + std::string(alg) + R"(","kid":"ed"})";
    expect_refused(with_header(header), "alg");
  }
}

TEST_F(Jwt, whose_alg_is_not_its_keys_is_refused) {
  const auto signed_with = [](const std::string& message, const auto& signature) {
    return message + "." + to_base64url(signature);
  };
  const std::string es_named_ed = encoded(R"({"alg":"ES256","kid":"ed"})") + "." + encoded(kClaims);
  expect_refused(verify(signed_with(es_named_ed, es_.sign(es_named_ed))), "signature");
  expect_refused(verify(signed_with(es_named_ed, ed_.sign(bytes_of(es_named_ed)))), "signature");
  const std::string ed_named_es = encoded(R"({"alg":"EdDSA","kid":"es"})") + "." + encoded(kClaims);
  expect_refused(verify(signed_with(ed_named_es, es_.sign(ed_named_es))), "signature");
  expect_refused(verify(signed_with(ed_named_es, ed_.sign(bytes_of(ed_named_es)))), "signature");
}

TEST_F(Jwt, brings_no_key_of_its_own) {
  const SigningKey thief = SigningKey::generate();
  const std::string x = to_base64url(thief.verifying().raw());
  const std::string jwk = R"("jwk":{"kty":"OKP","crv":"Ed25519","x":")" + x + R"("})";
  for (const std::string& header :
       {R"({"alg":"EdDSA","kid":"ed",)" + jwk + "}", R"({"alg":"EdDSA",)" + jwk + "}",
        std::string(R"({"alg":"EdDSA","kid":"thief","jku":"https://thief.example/keys"})"),
        std::string(R"({"alg":"EdDSA","kid":"../../../dev/null"})"),
        std::string(R"({"alg":"EdDSA","kid":"ed\u0000"})"),
        std::string(R"({"alg":"EdDSA","kid":""})"), std::string(R"({"alg":"EdDSA","kid":7})")}) {
    const std::string message = encoded(header) + "." + encoded(kClaims);
    EXPECT_FALSE(verify(message + "." + to_base64url(thief.sign(bytes_of(message))))) << header;
  }
}

TEST_F(Jwt, with_critical_extensions_is_refused) {
  expect_refused(with_header(R"({"alg":"EdDSA","kid":"ed","crit":["exp"],"exp":1})"), "crit");
  expect_refused(with_header(R"({"alg":"EdDSA","kid":"ed","crit":[]})"), "crit");
  expect_refused(with_header(R"({"alg":"EdDSA","kid":"ed","crit":null})"), "crit");
  expect_refused(with_header(R"({"alg":"EdDSA","kid":"ed","b64":false,"crit":["b64"]})"), "crit");
  expect_refused(with_header(R"({"alg":"EdDSA","kid":"ed","b64":false})"), "b64");
  expect_refused(with_header(R"({"alg":"EdDSA","kid":"ed","typ":"dpop+jwt"})"), "typ");
  expect_refused(with_header(R"({"alg":"EdDSA","kid":"ed","typ":1})"), "typ");
}

TEST_F(Jwt, that_says_something_twice_is_refused) {
  expect_refused(with_header(R"({"alg":"EdDSA","alg":"none","kid":"ed"})"), "header",
                 Errc::corrupt);
  expect_refused(with_header(R"({"alg":"EdDSA","kid":"ed","a\u006cg":"none"})"), "header",
                 Errc::corrupt);
  expect_refused(
      with_claims(
          R"({"iss":"https://id.example","aud":"aloft","iat":1799999990,"exp":1800000600,"tenant":"acme","tenant":"umbrella"})"),
      "claims");
  expect_refused(
      with_claims(
          R"({"iss":"https://id.example","aud":"aloft","iat":1799999990,"exp":1800000600,"tenant":"acme","x":[{"a":1,"a":2}]})"),
      "claims");
  // The same name in two objects is not twice.
  EXPECT_TRUE(with_claims(
      R"({"iss":"https://id.example","aud":"aloft","iat":1799999990,"exp":1800000600,"tenant":"acme","x":[{"a":1},{"a":2}],"a":{"a":{}}})"));
}

TEST_F(Jwt, of_another_time_is_refused) {
  const auto at = [&](std::string_view times) {
    return with_claims(R"({"iss":"https://id.example","aud":"aloft","tenant":"acme",)" +
                       std::string(times) + "}");
  };
  EXPECT_TRUE(at(R"("iat":1799999990,"exp":1800000001)"));
  EXPECT_TRUE(at(R"("iat":1799999900,"exp":1799999971)")) << "within the leeway";
  expect_refused(at(R"("iat":1799999900,"exp":1799999970)"), "expired");
  expect_refused(at(R"("iat":0,"exp":1)"), "expired");
  EXPECT_TRUE(at(R"("iat":1800000030,"exp":1800000600)"));
  expect_refused(at(R"("iat":1800000031,"exp":1800000600)"), "iat");
  EXPECT_TRUE(at(R"("iat":1799999990,"nbf":1800000030,"exp":1800000600)"));
  expect_refused(at(R"("iat":1799999990,"nbf":1800000031,"exp":1800000600)"), "nbf");
  expect_refused(at(R"("iat":1799999990,"nbf":"now","exp":1800000600)"), "nbf");
  expect_refused(at(R"("iat":1800000020,"exp":1800000020)"), "ends before");
  expect_refused(at(R"("iat":1799999990,"exp":1800086391)"), "lives longer");
  EXPECT_TRUE(at(R"("iat":1799999990.5,"exp":1800000600.9)"));
  for (const std::string_view bad :
       {R"("iat":1799999990)", R"("exp":1800000600)", R"("iat":1799999990,"exp":"1800000600")",
        R"("iat":1799999990,"exp":true)", R"("iat":1799999990,"exp":null)",
        R"("iat":1799999990,"exp":1e300)", R"("iat":-1,"exp":1800000600)",
        R"("iat":1799999990,"exp":18446744073709551616)",
        R"("iat":1799999990,"exp":9223372036854775807)"})
    expect_refused(at(bad), "`iat` and `exp`");
  EXPECT_FALSE(at(R"("iat":1799999990,"exp":1e999)"));
  EXPECT_FALSE(at(R"("iat":1799999990,"exp":NaN)"));
}

TEST_F(Jwt, for_another_audience_is_refused) {
  const auto with = [&](std::string_view audience) {
    return with_claims(
        R"({"iss":"https://id.example","iat":1799999990,"exp":1800000600,"tenant":"acme")" +
        std::string(audience) + "}");
  };
  EXPECT_TRUE(with(R"(,"aud":["x","aloft"])"));
  for (const std::string_view bad :
       {"", R"(,"aud":"Aloft")", R"(,"aud":"aloft ")", R"(,"aud":[])", R"(,"aud":["x"])",
        R"(,"aud":[["aloft"]])", R"(,"aud":["aloft",7])", R"(,"aud":{"aloft":1})", R"(,"aud":null)",
        R"(,"aud":"aloft\u0000")"})
    expect_refused(with(bad), "aud");
}

TEST_F(Jwt, of_an_issuer_for_a_tenant_that_is_not_its_own_is_refused) {
  const auto claims = [](std::string_view issuer, std::string_view tenant) {
    return R"({"aud":"aloft","iat":1799999990,"exp":1800000600,"iss":")" + std::string(issuer) +
           R"(",)" + std::string(tenant) + "}";
  };
  // Signed with the key of the first, in the name of the second.
  expect_refused(with_claims(claims("https://other.example", R"("org":"other")")), "`iss`");
  expect_refused(with_claims(claims("https://id.example/", R"("tenant":"acme")")), "`iss`");
  expect_refused(with_claims(claims("https://id.example", R"("tenant":"other")")), "speak for");
  expect_refused(with_claims(claims("https://id.example", R"("tenant":"ACME")")), "speak for");
  expect_refused(with_claims(claims("https://id.example", R"("tenant":"")")), "no tenant");
  expect_refused(with_claims(claims("https://id.example", R"("tenant":["acme"])")), "no tenant");
  expect_refused(with_claims(claims("https://id.example", R"("org":"acme")")), "no tenant");
  expect_refused(
      with_claims(claims("https://id.example", R"("tenant":"acme","sub":"a\nlogged in: root")")),
      "sub");
  // Two issuers call their keys the same: each has its own.
  const std::string message =
      encoded(kHeader) + "." + encoded(claims("https://other.example", R"("org":"other")"));
  EXPECT_TRUE(verify(message + "." + to_base64url(other_.sign(bytes_of(message)))));
}

TEST_F(Jwt, with_a_signature_that_is_none_is_refused) {
  const std::string message = encoded(R"({"alg":"ES256","kid":"es"})") + "." + encoded(kClaims);
  ASSERT_TRUE(verify(message + "." + to_base64url(es_.sign(message))));
  // r and s of 0 satisfy the equation where nobody looks at them.
  std::vector<std::byte> raw(64);
  expect_refused(verify(message + "." + to_base64url(raw)), "signature");
  const auto order = from_hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
  std::ranges::copy(order, raw.begin());
  std::ranges::copy(order, raw.begin() + 32);
  expect_refused(verify(message + "." + to_base64url(raw)), "signature");
  expect_refused(verify(message + "." + to_base64url(es_.sign_der(message))), "signature");
  auto longer = es_.sign(message);
  longer.push_back(std::byte{0});
  expect_refused(verify(message + "." + to_base64url(longer)), "signature");
  expect_refused(verify(message + "." + to_base64url(EcdsaKey().sign(message))), "signature");
}

TEST_F(Jwt, in_any_other_text_is_refused) {
  const std::string good = token(kHeader, kClaims);
  ASSERT_TRUE(verify(good));
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(verify(std::string(good.substr(0, size)))) << size;
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string changed = good;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(verify(changed)) << at;
  }
  for (const std::string& bad :
       {good + "=", good + "\n", " " + good, good + ".", "." + good, good + "." + good,
        good + std::string(1, '\0'), std::string(kMaxTokenBytes + 1, 'A'), std::string(".."),
        std::string(8192, '.'), encoded("[]") + "." + encoded(kClaims) + ".AA",
        encoded("\"EdDSA\"") + ".e30.AA",
        encoded(std::string(kHeader) + " {}") + "." + encoded(kClaims) + ".AA",
        encoded("{\"alg\":\"EdDSA\xff\"}") + "." + encoded(kClaims) + ".AA",
        encoded(std::string(2000, '[')) + ".e30.AA",
        encoded(R"({"x":)" + std::string(1000, '[') + std::string(1000, ']') + "}") + ".e30.AA"})
    expect_refused(verify(bad), "no JSON Web Token", Errc::corrupt);
}

// RFC 8037, appendix A.
constexpr std::string_view kRfc8037Key = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
// RFC 7515, appendix A.3.
constexpr std::string_view kRfc7515X = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
constexpr std::string_view kRfc7515Y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

std::string key_set() {
  return R"({"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":")" + std::string(kRfc8037Key) +
         R"("},{"kty":"EC","crv":"P-256","kid":"b","use":"sig","x":")" + std::string(kRfc7515X) +
         R"(","y":")" + std::string(kRfc7515Y) +
         R"("},{"kty":"RSA","kid":"c","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"P-384","kid":"d"},)"
         R"({"kty":"OKP","crv":"X25519","kid":"e","x":"AA"},{"kty":"EC","use":"enc","kid":"f"}]})";
}

bool verifies(const PublicKey& key, std::string_view jws) {
  const auto dot = jws.rfind('.');
  return key.verify(bytes_of(jws.substr(0, dot)), *from_base64url(jws.substr(dot + 1)),
                    EcdsaFormat::raw);
}

TEST(JwkSet, has_the_keys_of_the_rfcs_which_verify_their_examples) {
  const auto keys = parse_jwk_set(key_set());
  ASSERT_TRUE(keys) << keys.error().message;
  ASSERT_EQ(keys->size(), 2U);
  EXPECT_TRUE(verifies(
      keys->at("a"),
      "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-"
      "09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"));
  constexpr std::string_view kEs256 =
      "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlL"
      "mNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSAp"
      "mWQxfKTUJqPP3-Kg6NU1Q";
  EXPECT_TRUE(verifies(keys->at("b"), kEs256));
  EXPECT_FALSE(verifies(keys->at("a"), kEs256));
}

TEST(JwkSet, that_is_none_is_refused) {
  const auto code = [](std::string_view json) { return parse_jwk_set(json).error().code; };
  for (const std::string_view bad :
       {"", "[]", "{}", R"({"keys":{}})", R"({"keys":[7]})", R"({"keys":[],"keys":[]})",
        R"({"keys":[{"kty":"oct","k":"AAAA","kid":"a"}]})",
        R"({"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","d":"AA","x":"AA"}]})",
        R"({"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"AA"}]})",
        R"({"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"AA","y":"AA"}]})"})
    EXPECT_EQ(code(bad), Errc::corrupt) << bad;
  EXPECT_EQ(code(R"({"keys":[]})"), Errc::refused);
  const std::string key =
      R"({"kty":"OKP","crv":"Ed25519","kid":"a","x":")" + std::string(kRfc8037Key) + R"("})";
  EXPECT_TRUE(parse_jwk_set(R"({"keys":[)" + key + "]}"));
  EXPECT_EQ(code(R"({"keys":[)" + key + "," + key + "]}"), Errc::corrupt);
}

}  // namespace
}  // namespace aloft::identity
