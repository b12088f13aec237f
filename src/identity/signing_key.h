// Ed25519 keys, with which managers sign tickets and publishers sign modules. Bytes and algorithm
// are OpenSSL's; here is what owns them.
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/digest.h"
#include <aloft/result.h>

namespace aloft::identity {

using Signature = std::array<std::byte, 64>;

// Thread rule: immutable. Cheap to copy.
class VerifyingKey {
 public:
  // 32 bytes. Errors: corrupt.
  [[nodiscard]] static Result<VerifyingKey> from_raw(std::span<const std::byte> raw);
  // A PEM file (SubjectPublicKeyInfo). Errors: not_found, corrupt; they name the file.
  [[nodiscard]] static Result<VerifyingKey> load(const std::filesystem::path& file);

  [[nodiscard]] bool verify(std::span<const std::byte> message,
                            std::span<const std::byte> signature) const;
  [[nodiscard]] std::span<const std::byte, 32> raw() const;
  // The first 16 hex digits of the SHA-256 of raw(): which key it was, for people and for lookups.
  [[nodiscard]] std::string id() const;
  [[nodiscard]] std::string to_pem() const;

  [[nodiscard]] bool operator==(const VerifyingKey&) const = default;

 private:
  friend class SigningKey;
  VerifyingKey() = default;
  std::array<std::byte, 32> raw_{};
};

// Thread rule: immutable. Cheap to copy.
class SigningKey {
 public:
  [[nodiscard]] static SigningKey generate();
  // A PEM file (PKCS #8). Errors: not_found, corrupt, refused (others may read it; see
  // key_file.h).
  [[nodiscard]] static Result<SigningKey> load(const std::filesystem::path& file);
  // With permissions 0600, never over one that is there. Errors: refused, internal.
  [[nodiscard]] Result<void> save(const std::filesystem::path& file) const;
  // From the 32 bytes of RFC 8032's private key. Errors: corrupt.
  [[nodiscard]] static Result<SigningKey> from_raw(std::span<const std::byte> raw);

  [[nodiscard]] Signature sign(std::span<const std::byte> message) const;
  [[nodiscard]] const VerifyingKey& verifying() const { return verifying_; }

 private:
  SigningKey() = default;
  struct Secret;
  std::shared_ptr<const Secret> secret_;
  VerifyingKey verifying_;
};

}  // namespace aloft::identity
