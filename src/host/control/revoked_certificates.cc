#include "host/control/revoked_certificates.h"

#include <cstring>

#include <spdlog/spdlog.h>

#include "identity/certificate.h"

namespace aloft::host {

void RevokedCertificates::hear(const v1::HeartbeatResponse& heartbeat) {
  if (!heartbeat.has_revoked()) return;
  const v1::RevokedCertificates& list = heartbeat.revoked();
  const std::lock_guard lock(mutex_);
  if (list.version() == version_) return;
  version_ = list.version();
  keys_.clear();
  for (const std::string& bytes : list.keys()) {
    Digest key;
    if (bytes.size() != key.bytes.size()) continue;
    std::memcpy(key.bytes.data(), bytes.data(), bytes.size());
    keys_.insert(key);
  }
  serials_ = {list.serials().begin(), list.serials().end()};
  spdlog::info("{} keys and {} certificates are revoked", keys_.size(), serials_.size());
}

std::string RevokedCertificates::version() const {
  const std::lock_guard lock(mutex_);
  return version_;
}

bool RevokedCertificates::covers(std::string_view certificate) const {
  const auto mark = identity::mark_of(certificate);
  if (!mark) return true;
  const std::lock_guard lock(mutex_);
  return keys_.contains(mark->public_key) || serials_.contains(mark->serial);
}

}  // namespace aloft::host
