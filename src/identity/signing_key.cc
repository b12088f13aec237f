#include "identity/signing_key.h"

#include <algorithm>
#include <utility>

#include "identity/key_file.h"
#include "identity/openssl.h"

namespace aloft::identity {
namespace {

constexpr std::size_t kKeyBytes = 32;

std::array<std::byte, kKeyBytes> raw_public(const EVP_PKEY* key) {
  std::array<std::byte, kKeyBytes> raw{};
  std::size_t size = raw.size();
  require(EVP_PKEY_get_raw_public_key(key, writable(raw), &size) == 1 && size == raw.size());
  return raw;
}

OwnedKey public_key_of(std::span<const std::byte> raw) {
  return OwnedKey(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, uchars(raw), raw.size()));
}

std::unexpected<Error> not_a_key(const std::filesystem::path& file, std::string_view what) {
  return fail(Errc::corrupt,
              file.string() + " is no " + std::string(what) + " in PEM: " + openssl_reason());
}

}  // namespace

Result<VerifyingKey> VerifyingKey::from_raw(std::span<const std::byte> raw) {
  if (raw.size() != kKeyBytes) {
    return fail(Errc::corrupt,
                "an Ed25519 public key has 32 bytes, not " + std::to_string(raw.size()));
  }
  VerifyingKey key;
  std::ranges::copy(raw, key.raw_.begin());
  return key;
}

Result<VerifyingKey> VerifyingKey::load(const std::filesystem::path& file) {
  const auto pem = read_key_file(file, Secrecy::open);
  if (!pem) return std::unexpected(pem.error());
  ERR_clear_error();
  const OwnedKey parsed(PEM_read_bio_PUBKEY(bio_over(*pem).get(), nullptr, no_password, nullptr));
  if (parsed == nullptr) return not_a_key(file, "public key");
  if (EVP_PKEY_get_id(parsed.get()) != EVP_PKEY_ED25519)
    return fail(Errc::corrupt, file.string() + " is a public key, but no Ed25519 one");
  VerifyingKey key;
  key.raw_ = raw_public(parsed.get());
  return key;
}

bool VerifyingKey::verify(std::span<const std::byte> message,
                          std::span<const std::byte> signature) const {
  if (signature.size() != std::tuple_size_v<Signature>) return false;
  const OwnedKey key = public_key_of(raw_);
  const OwnedDigestContext context(EVP_MD_CTX_new());
  require(context != nullptr);
  const bool good =
      key != nullptr &&
      EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
      EVP_DigestVerify(context.get(), uchars(signature), signature.size(), uchars(message),
                       message.size()) == 1;
  if (!good) ERR_clear_error();
  return good;
}

std::span<const std::byte, 32> VerifyingKey::raw() const { return raw_; }

std::string VerifyingKey::id() const { return sha256(raw_).hex().substr(0, 16); }

std::string VerifyingKey::to_pem() const {
  const OwnedKey key = public_key_of(raw_);
  const OwnedBio bio = bio_in_memory();
  require(key != nullptr && PEM_write_bio_PUBKEY(bio.get(), key.get()) == 1);
  return text_of(bio);
}

struct SigningKey::Secret {
  OwnedKey key;
};

SigningKey SigningKey::generate() {
  SigningKey made;
  OwnedKey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  require(key != nullptr);
  made.verifying_.raw_ = raw_public(key.get());
  made.secret_ = std::make_shared<const Secret>(std::move(key));
  return made;
}

Result<SigningKey> SigningKey::from_raw(std::span<const std::byte> raw) {
  OwnedKey key(raw.size() == kKeyBytes ? EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr,
                                                                      uchars(raw), raw.size())
                                       : nullptr);
  if (key == nullptr) {
    return fail(Errc::corrupt,
                "an Ed25519 private key has 32 bytes, not " + std::to_string(raw.size()));
  }
  SigningKey made;
  made.verifying_.raw_ = raw_public(key.get());
  made.secret_ = std::make_shared<const Secret>(std::move(key));
  return made;
}

Result<SigningKey> SigningKey::load(const std::filesystem::path& file) {
  auto pem = read_key_file(file, Secrecy::secret);
  if (!pem) return std::unexpected(std::move(pem).error());
  ERR_clear_error();
  OwnedKey key(PEM_read_bio_PrivateKey(bio_over(*pem).get(), nullptr, no_password, nullptr));
  OPENSSL_cleanse(pem->data(), pem->size());
  if (key == nullptr) return not_a_key(file, "private key");
  if (EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519)
    return fail(Errc::corrupt, file.string() + " is a private key, but no Ed25519 one");
  SigningKey made;
  made.verifying_.raw_ = raw_public(key.get());
  made.secret_ = std::make_shared<const Secret>(std::move(key));
  return made;
}

Result<void> SigningKey::save(const std::filesystem::path& file) const {
  const OwnedBio bio = bio_in_memory();
  require(PEM_write_bio_PKCS8PrivateKey(bio.get(), secret_->key.get(), nullptr, nullptr, 0, nullptr,
                                        nullptr) == 1);
  std::string pem = text_of(bio);
  auto saved = write_key_file(file, pem, Secrecy::secret);
  OPENSSL_cleanse(pem.data(), pem.size());
  return saved;
}

Signature SigningKey::sign(std::span<const std::byte> message) const {
  Signature signature{};
  std::size_t size = signature.size();
  const OwnedDigestContext context(EVP_MD_CTX_new());
  require(context != nullptr &&
          EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, secret_->key.get()) == 1 &&
          EVP_DigestSign(context.get(), writable(signature), &size, uchars(message),
                         message.size()) == 1 &&
          size == signature.size());
  return signature;
}

}  // namespace aloft::identity
