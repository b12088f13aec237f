#include "oci/signer_key.h"

#include <utility>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "identity/key_file.h"

namespace aloft::oci {
namespace {

using identity::KeyType;
using identity::PublicKey;

struct Free {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  void operator()(unsigned char* bytes) const { OPENSSL_free(bytes); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

std::shared_ptr<void> own(EVP_PKEY* key) {
  return {key, [](void* owned) { EVP_PKEY_free(static_cast<EVP_PKEY*>(owned)); }};
}

EVP_PKEY* evp(const std::shared_ptr<void>& key) { return static_cast<EVP_PKEY*>(key.get()); }

// OpenSSL would otherwise ask at the terminal for the password of an encrypted key.
int no_password(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*data*/) { return -1; }

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

}  // namespace

Result<SignerKey> SignerKey::of(std::shared_ptr<void> key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(evp(key), &der);
  const Owned<unsigned char> owned(der);
  if (size <= 0) return fail(Errc::corrupt, "the key has no public part");
  auto public_key =
      PublicKey::from_der(std::as_bytes(std::span(der, static_cast<std::size_t>(size))));
  if (!public_key) return std::unexpected(public_key.error());
  return SignerKey(std::move(key), *std::move(public_key));
}

Result<SignerKey> SignerKey::generate(KeyType type) {
  EVP_PKEY* key = type == KeyType::ed25519 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                           : EVP_EC_gen("P-256");
  if (key == nullptr) return fail(Errc::internal, "OpenSSL cannot make a key");
  return of(own(key));
}

Result<SignerKey> SignerKey::load(const std::filesystem::path& file) {
  auto pem = identity::read_key_file(file, identity::Secrecy::secret);
  if (!pem) return std::unexpected(pem.error());
  const Owned<BIO> bio(BIO_new_mem_buf(pem->data(), static_cast<int>(pem->size())));
  EVP_PKEY* key =
      bio == nullptr ? nullptr : PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr);
  OPENSSL_cleanse(pem->data(), pem->size());
  ERR_clear_error();
  if (key == nullptr) {
    return fail(Errc::corrupt, file.string() +
                                   " is no private key in PEM, or an encrypted one (`openssl pkey "
                                   "-in KEY -out NEW` decrypts it)");
  }
  auto signer = of(own(key));
  if (!signer) return fail(signer.error().code, file.string() + ": " + signer.error().message);
  return signer;
}

Result<void> SignerKey::save(const std::filesystem::path& file) const {
  const Owned<BIO> bio(BIO_new(BIO_s_secmem()));
  if (bio == nullptr || PEM_write_bio_PKCS8PrivateKey(bio.get(), evp(key_), nullptr, nullptr, 0,
                                                      nullptr, nullptr) != 1)
    return fail(Errc::internal, "OpenSSL cannot write the key");
  std::string pem = text_of(bio.get());
  auto written = identity::write_key_file(file, pem, identity::Secrecy::secret);
  OPENSSL_cleanse(pem.data(), pem.size());
  return written;
}

Result<std::vector<std::byte>> SignerKey::sign(std::span<const std::byte> message) const {
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  const EVP_MD* hash = public_key_.type() == KeyType::ed25519 ? nullptr : EVP_sha256();
  const auto* bytes = reinterpret_cast<const unsigned char*>(message.data());
  std::size_t size = 0;
  if (context == nullptr ||
      EVP_DigestSignInit(context.get(), nullptr, hash, nullptr, evp(key_)) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, bytes, message.size()) != 1)
    return fail(Errc::internal, "OpenSSL cannot sign");
  std::vector<std::byte> signature(size);
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     bytes, message.size()) != 1)
    return fail(Errc::internal, "OpenSSL cannot sign");
  signature.resize(size);
  return signature;
}

Result<std::string> SignerKey::public_pem() const {
  const Owned<BIO> bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || PEM_write_bio_PUBKEY(bio.get(), evp(key_)) != 1)
    return fail(Errc::internal, "OpenSSL cannot write the key");
  return text_of(bio.get());
}

std::string key_id(const PublicKey& key) { return key.digest().hex().substr(0, 16); }

}  // namespace aloft::oci
