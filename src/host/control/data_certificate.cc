#include "host/control/data_certificate.h"

#include <utility>

#include <spdlog/spdlog.h>

#include "channel/tls.h"
#include "identity/key_file.h"

namespace aloft::host {

Result<DataCertificate::Texts> DataCertificate::read(const std::filesystem::path& certificate,
                                                     const std::filesystem::path& key) {
  auto shown = identity::read_key_file(certificate, identity::Secrecy::open);
  if (!shown) return std::unexpected(std::move(shown).error());
  auto secret = identity::read_key_file(key, identity::Secrecy::secret);
  if (!secret) return std::unexpected(std::move(secret).error());
  const auto good =
      channel::TlsContext::server_of({.certificate = *shown, .key = *secret, .authority = {}});
  if (!good) return fail(good.error().code, certificate.string() + ": " + good.error().message);
  return Texts{*std::move(shown), *std::move(secret)};
}

Result<std::unique_ptr<DataCertificate>> DataCertificate::watch(
    OffloadHandler& handler, const std::filesystem::path& certificate,
    const std::filesystem::path& key) {
  auto files = Files::open(
      {certificate, key}, [certificate, key](const Texts*) { return read(certificate, key); },
      [&handler](const Result<config::Reload>& outcome, const Texts& now) {
        if (!outcome) {
          spdlog::error("the certificate of the data plane is not good; what was shown stays: {}",
                        outcome.error().message);
        } else if (*outcome == config::Reload::another) {
          handler.show(now.certificate, now.key);
          spdlog::info("the certificate of the data plane has changed, and is shown");
        }
      });
  if (!files) return std::unexpected(std::move(files).error());
  return std::unique_ptr<DataCertificate>(new DataCertificate(*std::move(files)));
}

}  // namespace aloft::host
