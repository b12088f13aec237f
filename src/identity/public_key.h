// Public keys of others, of the two kinds that aloft takes: Ed25519 and ECDSA on P-256. Publishers
// sign modules with them, issuers sign tokens, and a device proves to have the one its ticket is
// bound to. Reading and verifying are OpenSSL's.
//
// (Tickets have a type of their own, VerifyingKey: they are Ed25519 always, and 32 bytes long.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include <aloft/result.h>

namespace aloft::identity {

enum class KeyType : std::uint8_t { ed25519, ecdsa_p256 };
[[nodiscard]] std::string_view to_string(KeyType type);

// How the two numbers of an ECDSA signature are written; an Ed25519 one is 64 bytes either way.
enum class EcdsaFormat : std::uint8_t {
  der,  // as X.509, cosign and `openssl dgst` write it
  raw,  // 64 bytes, as JSON Web Signatures have it
};

// Thread rule: immutable. Cheap to copy.
class PublicKey {
 public:
  // A SubjectPublicKeyInfo, nothing after it. Errors: corrupt, refused (a key of another kind).
  [[nodiscard]] static Result<PublicKey> from_der(std::span<const std::byte> der);
  // The first one of a PEM text. Errors as from_der.
  [[nodiscard]] static Result<PublicKey> from_pem(std::string_view pem);
  // A PEM file. Errors: not_found, corrupt, refused; they name the file.
  [[nodiscard]] static Result<PublicKey> load(const std::filesystem::path& file);
  // 32 bytes. Errors: corrupt.
  [[nodiscard]] static Result<PublicKey> from_ed25519(std::span<const std::byte> raw);
  // The two coordinates, 32 bytes each, big endian. Errors: corrupt (also: no point of the curve).
  [[nodiscard]] static Result<PublicKey> from_p256(std::span<const std::byte> x,
                                                   std::span<const std::byte> y);

  [[nodiscard]] KeyType type() const { return type_; }
  // ECDSA is over the message's SHA-256.
  [[nodiscard]] bool verify(std::span<const std::byte> message,
                            std::span<const std::byte> signature,
                            EcdsaFormat format = EcdsaFormat::der) const;
  // The SubjectPublicKeyInfo, and its SHA-256, by which the key is known.
  [[nodiscard]] const std::vector<std::byte>& der() const { return *der_; }
  [[nodiscard]] const Digest& digest() const { return digest_; }

  [[nodiscard]] bool operator==(const PublicKey& other) const { return digest_ == other.digest_; }

 private:
  PublicKey() = default;
  friend struct PublicKeyParts;
  std::shared_ptr<void> key_;  // OpenSSL's
  std::shared_ptr<const std::vector<std::byte>> der_;
  Digest digest_;
  KeyType type_ = KeyType::ed25519;
};

}  // namespace aloft::identity
