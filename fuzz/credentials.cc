// Fuzz target: what somebody shows to be let in: tickets, tokens, certificates, keys.
//
// The first byte of the input chooses. Nobody forges a signature by chance, so what lies behind one
// is reached by signing the input here. What must hold beyond not crashing: what was not signed is
// refused; a ticket that opens is sealed again to the same bytes; a token that is taken speaks for
// a tenant that its issuer may speak for.
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "config/value.h"
#include "identity/base64.h"
#include "identity/certificate.h"
#include "identity/jwt.h"
#include "identity/public_key.h"
#include "identity/signing_key.h"
#include "identity/ticket.h"
#include "input.h"

namespace aloft::fuzz {
namespace {

using namespace identity;

const SigningKey& key() {
  static const SigningKey made = SigningKey::from_raw(std::vector<std::byte>(32)).value();
  return made;
}

std::string_view text_of(Input input) {
  return {reinterpret_cast<const char*>(input.data()), input.size()};
}

Result<Ticket> open_here(Input sealed) {
  const std::vector<VerifyingKey> keys{key().verifying()};
  return open(sealed, {.keys = keys,
                       .host = "h1",
                       .handler_boot = "00112233445566778899aabbccddeeff",
                       .tenant = "default",
                       .client_key = sha256(std::as_bytes(std::span("device", 6))),
                       .now = std::chrono::hours{1}});
}

// The front of a ticket of our key, the input, and a signature of both.
void signed_ticket(Input input) {
  static const auto front = [] {
    Ticket ticket;
    ticket.tenant = ticket.session = ticket.host = ticket.handler_boot = "x";
    ticket.expires = ClusterTime{1};
    auto sealed = seal(ticket, key()).value();
    sealed.resize(12);
    return sealed;
  }();
  auto sealed = front;
  sealed.insert(sealed.end(), input.begin(), input.end());
  constexpr std::string_view kContext = "aloft ticket 1\n";
  const auto context = std::as_bytes(std::span(kContext));
  std::vector<std::byte> message(context.begin(), context.end());
  message.insert(message.end(), sealed.begin(), sealed.end());
  const Signature signature = key().sign(message);
  sealed.insert(sealed.end(), signature.begin(), signature.end());
  const auto ticket = open_here(sealed);
  if (ticket) require(seal(*ticket, key()) == sealed, "a ticket has one encoding");
}

const std::vector<JwtIssuer>& issuers() {
  static const std::vector<JwtIssuer> made{
      {.issuer = "i",
       .audience = "a",
       .tenants = {"t"},
       .keys = {{"k", PublicKey::from_ed25519(key().verifying().raw()).value()}}}};
  return made;
}

Result<JwtClaims> verify_here(std::string_view token) {
  return verify_jwt(token, issuers(), std::chrono::sys_seconds{std::chrono::seconds{1'000}});
}

// Header and claims, a line each.
void signed_token(Input input) {
  const auto text = text_of(input);
  const auto line = text.find('\n');
  const auto header = input.first(std::min(line, text.size()));
  const auto claims = line == std::string_view::npos ? Input{} : input.subspan(line + 1);
  const std::string message = to_base64url(header) + "." + to_base64url(claims);
  const Signature signature = key().sign(std::as_bytes(std::span(message)));
  const auto taken = verify_here(message + "." + to_base64url(signature));
  if (!taken) return;
  require(taken->tenant == "t" && taken->issuer == "i", "an issuer speaks for its own tenants");
  require(taken->expires > taken->issued, "a token has a life");
}

}  // namespace
}  // namespace aloft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aloft::fuzz;
  using namespace aloft::identity;
  Input input = std::as_bytes(std::span(data, size));
  switch (take_byte(input) % 8) {
    case 0: require(!open_here(input), "what this key did not sign is refused"); break;
    case 1: signed_ticket(input); break;
    case 2: require(!verify_here(text_of(input)), "what no issuer signed is refused"); break;
    case 3: signed_token(input); break;
    case 4: (void)parse_jwk_set(text_of(input)); break;
    case 5:
      if (const auto key = PublicKey::from_der(input)) {
        const auto again = PublicKey::from_der(key->der());
        require(again && *again == *key, "a key is read as it was written");
      }
      (void)PublicKey::from_pem(text_of(input));
      break;
    case 6:
      (void)identity_of(text_of(input));
      (void)public_key_digest(text_of(input));
      (void)view_certificates(text_of(input));
      break;
    default:
      if (const auto bytes = from_base64url(text_of(input)))
        require(to_base64url(*bytes) == text_of(input), "a value has one text");
      (void)aloft::config::parse_toml(text_of(input), "file");
  }
  return 0;
}
