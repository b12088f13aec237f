// The certificates that a host refuses though they are good still: what managers tell with their
// heartbeats of their revoked.toml. A manager that is named there is neither obeyed nor believed.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "aloft/v1/host.pb.h"
#include "base/digest.h"

namespace aloft::host {

// Thread rule: any thread.
class RevokedCertificates {
 public:
  // By a manager that is not named in it so far. The whole list replaces the one before.
  void hear(const v1::HeartbeatResponse& heartbeat);
  // Of the list, as managers say it.
  [[nodiscard]] std::string version() const;
  // PEM; one that cannot be read is covered, too.
  [[nodiscard]] bool covers(std::string_view certificate) const;

 private:
  mutable std::mutex mutex_;
  std::string version_;
  std::set<Digest> keys_;
  std::set<std::string> serials_;
};

}  // namespace aloft::host
