#include "oci/signer_key.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

namespace aloft::oci {
namespace {

using identity::KeyType;
using identity::PublicKey;

constexpr std::size_t kMaxKeyFile = 64 * 1024;

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
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    return fail(errno == ENOENT ? Errc::not_found : Errc::refused,
                "cannot open the key " + file.string() + ": " + std::strerror(errno));
  }
  std::unique_ptr<std::FILE, decltype([](std::FILE* open) { (void)std::fclose(open); })> in(
      ::fdopen(fd, "rb"));
  if (in == nullptr) {
    ::close(fd);
    return fail(Errc::internal, "cannot read the key " + file.string());
  }
  struct stat status{};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
    return fail(Errc::refused, "the key " + file.string() + " is no regular file");
  if ((status.st_mode & 077) != 0) {
    return fail(Errc::refused,
                "others may read the key " + file.string() + ": chmod 600 " + file.string());
  }
  std::string pem(kMaxKeyFile, '\0');
  pem.resize(std::fread(pem.data(), 1, pem.size(), in.get()));
  const Owned<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  EVP_PKEY* key =
      bio == nullptr ? nullptr : PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr);
  OPENSSL_cleanse(pem.data(), pem.size());
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
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    return fail(errno == EEXIST ? Errc::refused : Errc::internal,
                "cannot make " + file.string() + ": " + std::strerror(errno));
  }
  std::string pem = text_of(bio.get());
  const ssize_t written = ::write(fd, pem.data(), pem.size());
  const bool ok = written == static_cast<ssize_t>(pem.size()) && ::fsync(fd) == 0;
  OPENSSL_cleanse(pem.data(), pem.size());
  ::close(fd);
  if (ok) return {};
  ::unlink(file.c_str());
  return fail(Errc::internal, "cannot write " + file.string());
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
