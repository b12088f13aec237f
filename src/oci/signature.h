// Signatures of artifacts, detached: an artifact is the same with and without them.
//
// They are laid out as cosign does it (docs/repository.md): the manifest under signature_tag() has
// one layer a signature, a JSON document that names the signed manifest's digest, and the signature
// of that document in an annotation. So either tool reads what the other has signed.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/digest.h"
#include "identity/public_key.h"
#include "oci/repository.h"
#include "oci/signer_key.h"
#include <aloft/result.h>

namespace aloft::oci {

// Adds a signature; signing again with the same key changes nothing. Errors: those of Repository;
// overloaded (others sign the same artifact all the time).
[[nodiscard]] Result<void> sign(Repository& repository, const Digest& manifest,
                                const SignerKey& key);

// Which of `signers` has signed the manifest: the first that has. Errors: refused (not signed, or
// by none of them; the message says which), and those of Repository.
[[nodiscard]] Result<identity::PublicKey> verify(Repository& repository, const Digest& manifest,
                                                 std::span<const identity::PublicKey> signers);

}  // namespace aloft::oci
