// The key that the device shows to Execution Handlers: the configured one, or one of its own, made
// for this run. A ticket is bound to it, whoever its certificate is from.
#pragma once

#include <string>
#include <string_view>

#include "base/digest.h"
#include <aloft/result.h>

namespace aloft::device {

struct ClientKey {
  std::string certificate;  // PEM
  std::string key;          // PEM
  Digest public_key;        // SHA-256 of the SubjectPublicKeyInfo (DER)
};

// ECDSA P-256, with a certificate that it signed itself. Errors: internal.
[[nodiscard]] Result<ClientKey> make_client_key();
// Of two PEM texts. Errors: corrupt; invalid_argument (the key is not the certificate's).
[[nodiscard]] Result<ClientKey> client_key_of(std::string_view certificate, std::string_view key);

}  // namespace aloft::device
