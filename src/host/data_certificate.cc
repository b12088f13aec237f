#include "host/data_certificate.h"

#include <utility>

#include <spdlog/spdlog.h>

#include "channel/tls.h"
#include "identity/key_file.h"

namespace aloft::host {

Result<DataCertificate::Texts> DataCertificate::read() const {
  auto certificate = identity::read_key_file(certificate_, identity::Secrecy::open);
  if (!certificate) return std::unexpected(std::move(certificate).error());
  auto key = identity::read_key_file(key_, identity::Secrecy::secret);
  if (!key) return std::unexpected(std::move(key).error());
  const auto good =
      channel::TlsContext::server_of({.certificate = *certificate, .key = *key, .authority = {}});
  if (!good) return fail(good.error().code, certificate_.string() + ": " + good.error().message);
  return Texts{*std::move(certificate), *std::move(key)};
}

Result<std::unique_ptr<DataCertificate>> DataCertificate::watch(OffloadHandler& handler,
                                                                std::filesystem::path certificate,
                                                                std::filesystem::path key) {
  std::unique_ptr<DataCertificate> made(
      new DataCertificate(handler, std::move(certificate), std::move(key)));
  auto texts = made->read();
  if (!texts) return std::unexpected(std::move(texts).error());
  made->shown_ = *std::move(texts);
  auto watch = config::FolderWatch::start({made->certificate_, made->key_},
                                          [at = made.get()] { at->reload(); });
  if (!watch) return std::unexpected(std::move(watch).error());
  made->watch_ = *std::move(watch);
  made->reload();  // what changed before it was watched
  return made;
}

void DataCertificate::reload() {
  const std::lock_guard lock(mutex_);
  auto texts = read();
  if (!texts) {
    if (std::exchange(complaint_, texts.error().message) != complaint_)
      spdlog::error("the certificate of the data plane is not good; what was shown stays: {}",
                    complaint_);
    return;
  }
  complaint_.clear();
  if (*texts == shown_) return;
  shown_ = *std::move(texts);
  handler_.show(shown_.certificate, shown_.key);
  spdlog::info("the certificate of the data plane has changed, and is shown");
}

}  // namespace aloft::host
