#include "rpc/certificates.h"

#include <mutex>
#include <utility>

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "config/folder_watch.h"
#include "identity/certificate.h"
#include "identity/key_file.h"

namespace aloft::rpc {
namespace {

struct Freed {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509_STORE* store) const { X509_STORE_free(store); }
  void operator()(X509_STORE_CTX* context) const { X509_STORE_CTX_free(context); }
  void operator()(STACK_OF(X509) * stack) const { sk_X509_pop_free(stack, X509_free); }
};
template <class T>
using Owned = std::unique_ptr<T, Freed>;

Owned<BIO> bio_over(const std::string& text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}
// A key with a passphrase is none that a daemon can use; without this OpenSSL asks the terminal.
int no_passphrase(char*, int, int, void*) { return 0; }

std::vector<Owned<X509>> certificates_in(const std::string& text) {
  const auto bio = bio_over(text);
  std::vector<Owned<X509>> all;
  while (X509* const one = PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr))
    all.emplace_back(one);
  ERR_clear_error();
  return all;
}

Result<CertificateTexts> read(const CertificateFiles& files) {
  using identity::Secrecy;
  CertificateTexts texts;
  const std::pair<const std::filesystem::path&, std::string&> all[] = {
      {files.authority, texts.authority}, {files.certificate, texts.certificate}};
  for (const auto& [file, text] : all) {
    auto content = identity::read_key_file(file, Secrecy::open);
    if (!content) return std::unexpected(std::move(content).error());
    text = *std::move(content);
  }
  auto key = identity::read_key_file(files.key, Secrecy::secret);
  if (!key) return std::unexpected(std::move(key).error());
  texts.key = *std::move(key);
  if (auto good = check(texts); !good)
    return fail(good.error().code, files.certificate.string() + " (with " + files.key.string() +
                                       " and " + files.authority.string() +
                                       "): " + good.error().message);
  return texts;
}

// What gRPC's own C++ wrapper lacks: server credentials that ask for the certificate again.
class RenewedCredentials final : public grpc::ServerCredentials {
 public:
  RenewedCredentials(grpc_ssl_client_certificate_request_type clients,
                     grpc_ssl_server_certificate_config_callback fetch, void* of)
      : clients_(clients), fetch_(fetch), of_(of) {}
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    auto* const options =
        grpc_ssl_server_credentials_create_options_using_config_fetcher(clients_, fetch_, of_);
    auto* const credentials = grpc_ssl_server_credentials_create_with_options(options);
    const int port = grpc_server_add_http2_port(server, address.c_str(), credentials);
    grpc_server_credentials_release(credentials);
    return port;
  }

  const grpc_ssl_client_certificate_request_type clients_;
  const grpc_ssl_server_certificate_config_callback fetch_;
  void* const of_;
};

}  // namespace

Result<void> check(const CertificateTexts& texts) {
  const auto chain = certificates_in(texts.certificate);
  if (chain.empty()) return fail(Errc::corrupt, "no certificate in PEM");
  const Owned<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(bio_over(texts.key).get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  if (key == nullptr) return fail(Errc::corrupt, "no private key in PEM, without a passphrase");
  const bool fits = X509_check_private_key(chain.front().get(), key.get()) == 1;
  ERR_clear_error();
  if (!fits) return fail(Errc::refused, "the private key is not that of the certificate");

  const auto authorities = certificates_in(texts.authority);
  if (authorities.empty()) return fail(Errc::corrupt, "no certificate of an authority in PEM");
  const Owned<X509_STORE> store(X509_STORE_new());
  for (const auto& one : authorities) X509_STORE_add_cert(store.get(), one.get());
  const Owned<STACK_OF(X509)> between(sk_X509_new_null());
  for (std::size_t i = 1; i < chain.size(); ++i) {
    X509_up_ref(chain[i].get());
    sk_X509_push(between.get(), chain[i].get());
  }
  const Owned<X509_STORE_CTX> context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), chain.front().get(), between.get());
  const bool good = X509_verify_cert(context.get()) == 1;
  const int why = X509_STORE_CTX_get_error(context.get());
  ERR_clear_error();
  if (good) return {};
  return fail(Errc::refused, std::string("the certificate is not good by these authorities: ") +
                                 X509_verify_cert_error_string(why));
}

struct Certificates::Impl {
  // One for each server: which version it was given last.
  struct Served {
    Impl& of;
    std::uint64_t version = 0;
  };

  CertificateFiles files;
  Told told;
  identity::Identity self;
  std::mutex loading;  // one at a time
  std::string last_error;

  mutable std::mutex mutex;
  std::shared_ptr<const CertificateTexts> texts;
  std::uint64_t version = 0;
  std::vector<std::unique_ptr<Served>> served;
  std::unique_ptr<config::FolderWatch> watch;  // last: it uses all of the above

  // True: others are in force.
  Result<bool> load() {
    auto fresh = read(files);
    if (!fresh) return std::unexpected(std::move(fresh).error());
    auto who = identity::identity_of(fresh->certificate);
    if (!who)
      return fail(who.error().code, files.certificate.string() + ": " + who.error().message);
    const std::lock_guard lock(mutex);
    if (texts != nullptr && *texts == *fresh) return false;
    if (texts != nullptr && !(*who == self)) {
      return fail(Errc::refused, files.certificate.string() + ": is of " +
                                     std::string(to_string(who->role)) + " " + who->name +
                                     " of cluster " + who->cluster +
                                     ", which this program is not; to be another one, restart it");
    }
    self = *std::move(who);
    texts = std::make_shared<const CertificateTexts>(*std::move(fresh));
    ++version;
    return true;
  }

  Result<void> reload() {
    const std::lock_guard one_at_a_time(loading);
    const auto outcome = load();
    const std::string error = outcome ? "" : outcome.error().message;
    const bool news = outcome ? *outcome || !last_error.empty() : error != last_error;
    last_error = error;
    const Result<void> result =
        outcome ? Result<void>{} : Result<void>{std::unexpected(outcome.error())};
    if (news && told) told(result);
    return result;
  }

  // gRPC asks before each handshake.
  static grpc_ssl_certificate_config_reload_status fetch(
      void* user, grpc_ssl_server_certificate_config** config) {
    auto& server = *static_cast<Served*>(user);
    const std::lock_guard lock(server.of.mutex);
    if (std::exchange(server.version, server.of.version) == server.of.version)
      return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const CertificateTexts& now = *server.of.texts;
    const grpc_ssl_pem_key_cert_pair pair{now.key.c_str(), now.certificate.c_str()};
    *config = grpc_ssl_server_certificate_config_create(now.authority.c_str(), &pair, 1);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }
};

Certificates::Certificates(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Certificates::~Certificates() = default;

Result<std::unique_ptr<Certificates>> Certificates::open(const CertificateFiles& files, Told told) {
  auto impl = std::make_unique<Impl>();
  impl->files = files;
  if (auto loaded = impl->load(); !loaded) return std::unexpected(std::move(loaded).error());
  impl->told = std::move(told);
  auto watch = config::FolderWatch::start({files.authority, files.certificate, files.key},
                                          [at = impl.get()] { (void)at->reload(); });
  if (!watch) return std::unexpected(std::move(watch).error());
  impl->watch = *std::move(watch);
  // What changed before it was watched; an error is told, and what was read is good.
  (void)impl->reload();
  return std::unique_ptr<Certificates>(new Certificates(std::move(impl)));
}

std::shared_ptr<const CertificateTexts> Certificates::texts() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->texts;
}

ClientCredentials Certificates::client() const {
  const std::lock_guard lock(impl_->mutex);
  const CertificateTexts& now = *impl_->texts;
  return {impl_->version, grpc::SslCredentials({now.authority, now.key, now.certificate})};
}

std::shared_ptr<grpc::ServerCredentials> Certificates::server(
    grpc_ssl_client_certificate_request_type clients) {
  const std::lock_guard lock(impl_->mutex);
  impl_->served.push_back(std::make_unique<Impl::Served>(*impl_));
  return std::make_shared<RenewedCredentials>(clients, Impl::fetch, impl_->served.back().get());
}

Result<void> Certificates::reload() { return impl_->reload(); }

}  // namespace aloft::rpc
