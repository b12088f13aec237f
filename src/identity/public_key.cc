#include "identity/public_key.h"

#include <algorithm>
#include <array>
#include <utility>

#include "identity/key_file.h"
#include "identity/openssl.h"

namespace aloft::identity {

namespace {

using OwnedSignature = Owned<ECDSA_SIG, ECDSA_SIG_free>;

constexpr std::size_t kCoordinate = 32;  // bytes
constexpr std::size_t kRawSignature = 64;

EVP_PKEY* openssl_key(const std::shared_ptr<void>& key) {
  return static_cast<EVP_PKEY*>(key.get());
}

// The two numbers as OpenSSL takes them. Empty where they are none.
std::vector<std::byte> der_signature(std::span<const std::byte> raw) {
  const OwnedSignature signature(ECDSA_SIG_new());
  Owned<BIGNUM, BN_free> r(BN_bin2bn(uchars(raw), kCoordinate, nullptr));
  Owned<BIGNUM, BN_free> s(BN_bin2bn(uchars(raw.subspan(kCoordinate)), kCoordinate, nullptr));
  require(signature != nullptr && r != nullptr && s != nullptr);
  require(ECDSA_SIG_set0(signature.get(), r.release(), s.release()) == 1);
  const int size = i2d_ECDSA_SIG(signature.get(), nullptr);
  if (size <= 0) return {};
  std::vector<std::byte> der(static_cast<std::size_t>(size));
  unsigned char* out = writable(der);
  require(i2d_ECDSA_SIG(signature.get(), &out) == size);
  return der;
}

}  // namespace

std::string_view to_string(KeyType type) {
  return type == KeyType::ed25519 ? "Ed25519" : "ECDSA P-256";
}

// Makes the value from OpenSSL's key; a friend, so that the header needs none of OpenSSL's types.
struct PublicKeyParts {
  static Result<PublicKey> make(OwnedKey parsed) {
    PublicKey key;
    if (EVP_PKEY_get_id(parsed.get()) == EVP_PKEY_ED25519) {
      key.type_ = KeyType::ed25519;
    } else {
      std::array<char, 64> group{};
      std::size_t size = 0;
      const bool p256 =
          EVP_PKEY_get_id(parsed.get()) == EVP_PKEY_EC &&
          EVP_PKEY_get_group_name(parsed.get(), group.data(), group.size(), &size) == 1 &&
          std::string_view(group.data(), size) == SN_X9_62_prime256v1;
      ERR_clear_error();
      if (!p256)
        return fail(Errc::refused, "a public key that is neither Ed25519 nor ECDSA on P-256");
      const OwnedKeyContext context(EVP_PKEY_CTX_new(parsed.get(), nullptr));
      require(context != nullptr);
      if (EVP_PKEY_public_check(context.get()) != 1)
        return fail(Errc::corrupt, "no public key: " + openssl_reason());
      key.type_ = KeyType::ecdsa_p256;
    }
    const int size = i2d_PUBKEY(parsed.get(), nullptr);
    require(size > 0);
    auto der = std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(size));
    unsigned char* out = writable(*der);
    require(i2d_PUBKEY(parsed.get(), &out) == size);
    key.digest_ = sha256(*der);
    key.der_ = std::move(der);
    key.key_ = std::shared_ptr<EVP_PKEY>(parsed.release(), EVP_PKEY_free);
    return key;
  }
};

Result<PublicKey> PublicKey::from_der(std::span<const std::byte> der) {
  ERR_clear_error();
  const unsigned char* at = uchars(der);
  OwnedKey parsed(der.size() <= kMaxKeyFile
                      ? d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size()))
                      : nullptr);
  if (parsed == nullptr) return fail(Errc::corrupt, "no public key in DER: " + openssl_reason());
  if (at != uchars(der) + der.size())
    return fail(Errc::corrupt, "no public key in DER: there are bytes after it");
  return PublicKeyParts::make(std::move(parsed));
}

Result<PublicKey> PublicKey::from_pem(std::string_view pem) {
  ERR_clear_error();
  OwnedKey parsed(pem.size() <= kMaxKeyFile
                      ? PEM_read_bio_PUBKEY(bio_over(pem).get(), nullptr, no_password, nullptr)
                      : nullptr);
  if (parsed == nullptr) return fail(Errc::corrupt, "no public key in PEM: " + openssl_reason());
  return PublicKeyParts::make(std::move(parsed));
}

Result<PublicKey> PublicKey::load(const std::filesystem::path& file) {
  const auto pem = read_key_file(file, Secrecy::open);
  if (!pem) return std::unexpected(pem.error());
  auto key = from_pem(*pem);
  if (!key) return fail(key.error().code, file.string() + ": " + key.error().message);
  return key;
}

Result<PublicKey> PublicKey::from_ed25519(std::span<const std::byte> raw) {
  OwnedKey parsed(raw.size() == kCoordinate ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr,
                                                                          uchars(raw), raw.size())
                                            : nullptr);
  if (parsed == nullptr)
    return fail(Errc::corrupt,
                "an Ed25519 public key has 32 bytes, not " + std::to_string(raw.size()));
  return PublicKeyParts::make(std::move(parsed));
}

Result<PublicKey> PublicKey::from_p256(std::span<const std::byte> x, std::span<const std::byte> y) {
  if (x.size() != kCoordinate || y.size() != kCoordinate)
    return fail(Errc::corrupt, "a coordinate of P-256 has 32 bytes");
  // The SubjectPublicKeyInfo of such a key has the same bytes in front always: RFC 5480.
  constexpr std::array<unsigned char, 27> kFront{
      0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
      0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
  std::vector<std::byte> der;
  for (const unsigned char byte : kFront) der.push_back(std::byte{byte});
  der.insert(der.end(), x.begin(), x.end());
  der.insert(der.end(), y.begin(), y.end());
  return from_der(der);
}

bool PublicKey::verify(std::span<const std::byte> message, std::span<const std::byte> signature,
                       EcdsaFormat format) const {
  std::vector<std::byte> converted;
  const EVP_MD* digest = nullptr;
  if (type_ == KeyType::ecdsa_p256) {
    digest = EVP_sha256();
    if (format == EcdsaFormat::raw) {
      if (signature.size() != kRawSignature) return false;
      converted = der_signature(signature);
      signature = converted;
    }
  } else if (signature.size() != kRawSignature) {
    return false;
  }
  const OwnedDigestContext context(EVP_MD_CTX_new());
  require(context != nullptr);
  const bool good =
      EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, openssl_key(key_)) == 1 &&
      EVP_DigestVerify(context.get(), uchars(signature), signature.size(), uchars(message),
                       message.size()) == 1;
  if (!good) ERR_clear_error();
  return good;
}

}  // namespace aloft::identity
