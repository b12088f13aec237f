#include "channel/tls.h"

#include <string>
#include <utility>

#include <openssl/err.h>

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

Result<std::unique_ptr<TlsContext::Impl>> make(const TlsFiles& files, bool connects) {
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
  return impl;
}

}  // namespace

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<const TlsContext>> TlsContext::server(const TlsFiles& files) {
  auto impl = make(files, false);
  if (!impl) return std::unexpected(std::move(impl).error());
  return std::shared_ptr<const TlsContext>(new TlsContext(*std::move(impl)));
}

Result<std::shared_ptr<const TlsContext>> TlsContext::client(const TlsFiles& files) {
  auto impl = make(files, true);
  if (!impl) return std::unexpected(std::move(impl).error());
  return std::shared_ptr<const TlsContext>(new TlsContext(*std::move(impl)));
}

}  // namespace aloft::channel
