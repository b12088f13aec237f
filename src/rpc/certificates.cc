#include "rpc/certificates.h"

#include <atomic>
#include <mutex>
#include <utility>

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <spdlog/spdlog.h>

#include "config/reloaded.h"
#include "identity/certificate.h"
#include "identity/certificate_chain.h"
#include "identity/key_file.h"

namespace aloft::rpc {
namespace {

// Whoever a program is, it stays: `in_force` says who that is; null: it is not known yet.
Result<CertificateTexts> read(const CertificateFiles& files, const CertificateTexts* in_force) {
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
  auto who = identity::identity_of(texts.certificate);
  if (!who) return fail(who.error().code, files.certificate.string() + ": " + who.error().message);
  if (in_force != nullptr && identity::identity_of(in_force->certificate) != *who) {
    return fail(Errc::refused, files.certificate.string() + ": is of " +
                                   std::string(to_string(who->role)) + " " + who->name +
                                   " of cluster " + who->cluster +
                                   ", which this program is not; to be another one, restart it");
  }
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
  return identity::check_chain(texts.certificate, texts.key, texts.authority);
}

void log_certificates(const Result<void>& outcome) {
  if (outcome) return spdlog::info("the certificates have changed, and are in force");
  spdlog::error("the certificates have changed, and are not good; what was stays in force: {}",
                outcome.error().message);
}

struct Certificates::Impl {
  // One for each server: which version it was given last.
  struct Served {
    explicit Served(Impl& impl) : of(impl) {}
    Impl& of;
    std::atomic<std::uint64_t> version = 0;
  };

  std::unique_ptr<config::Reloaded<CertificateTexts>> files;
  std::mutex mutex;
  std::vector<std::unique_ptr<Served>> served;

  // gRPC asks before each handshake.
  static grpc_ssl_certificate_config_reload_status fetch(
      void* user, grpc_ssl_server_certificate_config** config) {
    auto& server = *static_cast<Served*>(user);
    const auto [version, now] = server.of.files->versioned();
    if (server.version.exchange(version) == version)
      return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair pair{now->key.c_str(), now->certificate.c_str()};
    *config = grpc_ssl_server_certificate_config_create(now->authority.c_str(), &pair, 1);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }
};

Certificates::Certificates(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Certificates::~Certificates() = default;

Result<std::unique_ptr<Certificates>> Certificates::open(const CertificateFiles& files, Told told) {
  auto opened = config::Reloaded<CertificateTexts>::open(
      {files.authority, files.certificate, files.key},
      [files](const CertificateTexts* in_force) { return read(files, in_force); },
      [told = std::move(told)](const Result<config::Reload>& outcome, const CertificateTexts&) {
        if (!told) return;
        told(outcome ? Result<void>{} : Result<void>{std::unexpected(outcome.error())});
      });
  if (!opened) return std::unexpected(std::move(opened).error());
  auto impl = std::make_unique<Impl>();
  impl->files = *std::move(opened);
  return std::unique_ptr<Certificates>(new Certificates(std::move(impl)));
}

std::shared_ptr<const CertificateTexts> Certificates::texts() const {
  return impl_->files->value();
}

ClientCredentials Certificates::client() const {
  const auto [version, now] = impl_->files->versioned();
  return {version, grpc::SslCredentials({now->authority, now->key, now->certificate})};
}

std::shared_ptr<grpc::ServerCredentials> Certificates::server(
    grpc_ssl_client_certificate_request_type clients) {
  const std::lock_guard lock(impl_->mutex);
  impl_->served.push_back(std::make_unique<Impl::Served>(*impl_));
  return std::make_shared<RenewedCredentials>(clients, Impl::fetch, impl_->served.back().get());
}

Result<void> Certificates::reload() { return impl_->files->reload(); }

}  // namespace aloft::rpc
