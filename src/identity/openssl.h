// OpenSSL's objects as owners, and its errors as text; only for the sources of this folder.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace aloft::identity {

template <auto Free>
struct OpensslFree {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
template <class T, auto Free>
using Owned = std::unique_ptr<T, OpensslFree<Free>>;

using OwnedKey = Owned<EVP_PKEY, EVP_PKEY_free>;
using OwnedKeyContext = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using OwnedDigestContext = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using OwnedBio = Owned<BIO, BIO_free_all>;
using OwnedCertificate = Owned<X509, X509_free>;

// For what can fail by want of memory or of randomness alone: there is no key then, and none may be
// made up.
inline void require(bool ok) {
  if (!ok) std::abort();
}

// Why the last call failed; forgets it, so that the next TLS call of this thread does not take it
// for its own.
inline std::string openssl_reason() {
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason != nullptr ? reason : "it cannot be read";
}

// Valid while `bytes` is. At most 2 GiB.
inline OwnedBio bio_over(std::string_view bytes) {
  OwnedBio bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
  require(bio != nullptr);
  return bio;
}
inline OwnedBio bio_in_memory() {
  OwnedBio bio(BIO_new(BIO_s_mem()));
  require(bio != nullptr);
  return bio;
}
inline std::string text_of(const OwnedBio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

inline const unsigned char* uchars(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
inline unsigned char* writable(std::span<std::byte> bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

// A key that is encrypted is not one to be asked about on the terminal.
inline int no_password(char*, int, int, void*) { return 0; }

}  // namespace aloft::identity
