// The private key of whoever publishes modules: Ed25519, or ECDSA on P-256 (what cosign makes).
// Files are PEM, as `openssl genpkey` writes them.
//
// identity::SigningKey is for tickets, which are Ed25519 alone; a publisher's key may have been
// made by other tools and is known by its SubjectPublicKeyInfo.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "identity/public_key.h"
#include <aloft/result.h>

namespace aloft::oci {

// Thread rule: immutable, any thread. Cheap to copy.
class SignerKey {
 public:
  [[nodiscard]] static Result<SignerKey> generate(identity::KeyType type);
  // A PEM file, not encrypted. Errors: not_found, corrupt, refused (others may read it; a key of
  // another kind); they name the file.
  [[nodiscard]] static Result<SignerKey> load(const std::filesystem::path& file);
  // The private key, with permissions 0600, never over a file that is there. Errors: refused,
  // internal.
  [[nodiscard]] Result<void> save(const std::filesystem::path& file) const;

  // Ed25519: of the message itself, 64 bytes; ECDSA: of its SHA-256, in DER. Errors: internal.
  [[nodiscard]] Result<std::vector<std::byte>> sign(std::span<const std::byte> message) const;
  [[nodiscard]] const identity::PublicKey& public_key() const { return public_key_; }
  // What others need in order to verify.
  [[nodiscard]] Result<std::string> public_pem() const;

 private:
  SignerKey(std::shared_ptr<void> key, identity::PublicKey public_key)
      : key_(std::move(key)), public_key_(std::move(public_key)) {}
  [[nodiscard]] static Result<SignerKey> of(std::shared_ptr<void> key);
  std::shared_ptr<void> key_;  // OpenSSL's
  identity::PublicKey public_key_;
};

// The first 16 hex digits of its digest: which key it was, for people.
[[nodiscard]] std::string key_id(const identity::PublicKey& key);

}  // namespace aloft::oci
