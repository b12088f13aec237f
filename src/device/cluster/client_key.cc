#include "device/cluster/client_key.h"

#include <memory>
#include <span>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

namespace aloft::device {
namespace {

struct Freed {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <class T>
using Owned = std::unique_ptr<T, Freed>;

Owned<BIO> reader(std::string_view text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

Result<Digest> public_key_digest(X509* certificate) {
  unsigned char* bytes = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &bytes);
  if (size <= 0) return fail(Errc::internal, "OpenSSL cannot write a public key");
  const Digest digest = sha256(std::as_bytes(std::span(bytes, static_cast<std::size_t>(size))));
  OPENSSL_free(bytes);
  return digest;
}

// Valid for as long as any clock may say: nobody trusts it for anything but the key within.
bool fill(X509* certificate, EVP_PKEY* key) {
  constexpr long kTenYears = 10L * 365 * 24 * 3600;
  std::uint64_t serial = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) != 1) return false;
  X509_NAME* const name = X509_get_subject_name(certificate);
  const auto* const who = reinterpret_cast<const unsigned char*>("aloft device");
  return X509_set_version(certificate, X509_VERSION_3) == 1 &&
         ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1U) == 1 &&
         X509_gmtime_adj(X509_getm_notBefore(certificate), -kTenYears) != nullptr &&
         X509_gmtime_adj(X509_getm_notAfter(certificate), kTenYears) != nullptr &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, who, -1, -1, 0) == 1 &&
         X509_set_issuer_name(certificate, name) == 1 && X509_set_pubkey(certificate, key) == 1 &&
         X509_sign(certificate, key, EVP_sha256()) > 0;
}

}  // namespace

Result<ClientKey> make_client_key() {
  const Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  const Owned<X509> certificate(X509_new());
  const Owned<BIO> certificate_pem(BIO_new(BIO_s_mem()));
  const Owned<BIO> key_pem(BIO_new(BIO_s_mem()));
  if (key == nullptr || certificate == nullptr || !fill(certificate.get(), key.get()) ||
      PEM_write_bio_X509(certificate_pem.get(), certificate.get()) != 1 ||
      PEM_write_bio_PrivateKey(key_pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
          1) {
    return fail(Errc::internal, "OpenSSL cannot make a key for the connections to hosts");
  }
  const auto digest = public_key_digest(certificate.get());
  if (!digest) return std::unexpected(digest.error());
  return ClientKey{.certificate = text_of(certificate_pem.get()),
                   .key = text_of(key_pem.get()),
                   .public_key = *digest};
}

Result<ClientKey> client_key_of(std::string_view certificate, std::string_view key) {
  const Owned<X509> parsed(PEM_read_bio_X509(reader(certificate).get(), nullptr, nullptr, nullptr));
  if (parsed == nullptr) return fail(Errc::corrupt, "the certificate is no PEM text of one");
  const Owned<EVP_PKEY> parsed_key(
      PEM_read_bio_PrivateKey(reader(key).get(), nullptr, nullptr, nullptr));
  if (parsed_key == nullptr)
    return fail(Errc::corrupt, "the key is no PEM text of one (a passphrase is not asked for)");
  if (X509_check_private_key(parsed.get(), parsed_key.get()) != 1)
    return fail(Errc::invalid_argument, "the key is not the one of the certificate");
  const auto digest = public_key_digest(parsed.get());
  if (!digest) return std::unexpected(digest.error());
  return ClientKey{
      .certificate = std::string(certificate), .key = std::string(key), .public_key = *digest};
}

}  // namespace aloft::device
