#include "channel/tls.h"

#include <string>
#include <utility>
#include <vector>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "channel/tls_impl.h"

namespace aloft::channel {
namespace {

std::unexpected<Error> cannot_use(const std::filesystem::path& file, std::string_view what) {
  const unsigned long code = ERR_peek_last_error();
  const char* const reason = ERR_reason_error_string(code);
  ERR_clear_error();
  std::error_code error;
  if (!std::filesystem::exists(file, error))
    return fail(Errc::not_found, "no such file: " + file.string() + " (" + std::string(what) + ")");
  return fail(Errc::corrupt, file.string() + " is no " + std::string(what) +
                                 " in PEM: " + (reason != nullptr ? reason : "it cannot be read"));
}

Result<std::unique_ptr<TlsContext::Impl>> make_empty(bool connects) {
  auto impl = std::make_unique<TlsContext::Impl>();
  impl->connects = connects;
  impl->context = SSL_CTX_new(connects ? TLS_client_method() : TLS_server_method());
  SSL_CTX* const context = impl->context;
  if (context == nullptr) return fail(Errc::internal, "OpenSSL gives no TLS context");
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  // The quickest first where there are instructions for AES, as nearly everywhere.
  if (SSL_CTX_set_ciphersuites(context,
                               "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                               "TLS_CHACHA20_POLY1305_SHA256") != 1)
    return fail(Errc::internal, "OpenSSL has none of the ciphers of TLS 1.3");
  // A link is a long one: nothing is resumed.
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  // As many records a read as the socket has, up to this.
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, std::size_t{128} * 1024);
  ERR_clear_error();
  return impl;
}

Result<std::unique_ptr<TlsContext::Impl>> make(const TlsFiles& files, bool connects) {
  auto made = make_empty(connects);
  if (!made) return made;
  SSL_CTX* const context = (*made)->context;
  if (files.certificate.empty() != files.key.empty())
    return fail(Errc::invalid_argument, "TLS: a certificate and its key are given together");
  if (!files.certificate.empty()) {
    if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1)
      return cannot_use(files.certificate, "certificate");
    if (SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1)
      return cannot_use(files.key, "private key of the certificate");
  } else if (!connects) {
    return fail(Errc::invalid_argument, "TLS: a side that listens needs a certificate and its key");
  }
  if (!files.authority.empty()) {
    if (SSL_CTX_load_verify_file(context, files.authority.c_str()) != 1)
      return cannot_use(files.authority, "certificate of an authority");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  } else if (connects) {
    return fail(Errc::invalid_argument,
                "TLS: a side that connects needs the authority whose certificates it trusts");
  }
  return made;
}

std::unexpected<Error> not_pem(std::string_view what) {
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return fail(Errc::corrupt, "TLS: a text that is no " + std::string(what) +
                                 " in PEM: " + (reason != nullptr ? reason : "it cannot be read"));
}

struct Freed {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

// Every certificate of a PEM text, in its order.
Result<std::vector<std::unique_ptr<X509, Freed>>> certificates(const std::string& text,
                                                               std::string_view what) {
  const std::unique_ptr<BIO, Freed> bio(
      BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  std::vector<std::unique_ptr<X509, Freed>> all;
  while (X509* const one = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))
    all.emplace_back(one);
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (all.empty() || !at_end) return not_pem(what);
  ERR_clear_error();
  return all;
}

Result<void> use(SSL_CTX* context, const TlsTexts& texts) {
  if (texts.certificate.empty() != texts.key.empty())
    return fail(Errc::invalid_argument, "TLS: a certificate and its key are given together");
  if (!texts.certificate.empty()) {
    const auto chain = certificates(texts.certificate, "certificate");
    if (!chain) return std::unexpected(chain.error());
    if (SSL_CTX_use_certificate(context, chain->front().get()) != 1) return not_pem("certificate");
    for (std::size_t i = 1; i < chain->size(); ++i) {
      if (SSL_CTX_add1_chain_cert(context, (*chain)[i].get()) != 1) return not_pem("certificate");
    }
    const std::unique_ptr<BIO, Freed> bio(
        BIO_new_mem_buf(texts.key.data(), static_cast<int>(texts.key.size())));
    const std::unique_ptr<EVP_PKEY, Freed> key(
        PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
    if (key == nullptr || SSL_CTX_use_PrivateKey(context, key.get()) != 1)
      return not_pem("private key of the certificate");
  }
  if (texts.authority.empty()) return {};
  const auto trusted = certificates(texts.authority, "certificate of an authority");
  if (!trusted) return std::unexpected(trusted.error());
  for (const auto& authority : *trusted) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1)
      return not_pem("certificate of an authority");
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return {};
}

void take(SSL_CTX* context, TlsContext::Clients clients) {
  if (clients != TlsContext::Clients::with_a_key) return;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  // Who vouches for the certificate is not looked at. That the peer has its key is part of TLS.
  SSL_CTX_set_cert_verify_callback(context, [](X509_STORE_CTX*, void*) { return 1; }, nullptr);
}

}  // namespace

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<const TlsContext>> TlsContext::server(const TlsFiles& files,
                                                             Clients clients) {
  auto impl = make(files, false);
  if (!impl) return std::unexpected(std::move(impl).error());
  take((*impl)->context, clients);
  return std::shared_ptr<const TlsContext>(new TlsContext(*std::move(impl)));
}

Result<std::shared_ptr<const TlsContext>> TlsContext::server_of(const TlsTexts& texts,
                                                                Clients clients) {
  if (texts.certificate.empty())
    return fail(Errc::invalid_argument, "TLS: a side that listens needs a certificate and its key");
  auto impl = make_empty(false);
  if (!impl) return std::unexpected(std::move(impl).error());
  if (auto used = use((*impl)->context, texts); !used)
    return std::unexpected(std::move(used).error());
  take((*impl)->context, clients);
  return std::shared_ptr<const TlsContext>(new TlsContext(*std::move(impl)));
}

Result<std::shared_ptr<const TlsContext>> TlsContext::client(const TlsFiles& files) {
  auto impl = make(files, true);
  if (!impl) return std::unexpected(std::move(impl).error());
  return std::shared_ptr<const TlsContext>(new TlsContext(*std::move(impl)));
}

Result<std::shared_ptr<const TlsContext>> TlsContext::client_of(const TlsTexts& texts) {
  auto impl = make_empty(true);
  if (!impl) return std::unexpected(std::move(impl).error());
  if (texts.authority.empty())
    return fail(Errc::invalid_argument,
                "TLS: a side that connects needs the authority whose certificates it trusts");
  if (auto used = use((*impl)->context, texts); !used)
    return std::unexpected(std::move(used).error());
  return std::shared_ptr<const TlsContext>(new TlsContext(*std::move(impl)));
}

}  // namespace aloft::channel
