// Which clusters there are for this device, and how far each is: managers that are named or found,
// grouped by what cluster they say they are of, and measured.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "device/cluster/manager_link.h"
#include "function/log.h"
#include <aloft/cluster.h>
#include <aloft/result.h>

namespace aloft::device {

struct FoundCluster {
  std::string name;
  std::chrono::microseconds round_trip{};  // to the closest of its managers
  ManagerLinks managers;                   // that answered, the closest first
};

// Thread rule: one thread at a time.
class Discovery {
 public:
  // `options` and `log` outlive it.
  Discovery(const ClusterOptions& options, const function::Log& log);

  // Asks all sources and all managers, at once; takes a few seconds at most. The closest cluster
  // first. Errors: why there is none.
  [[nodiscard]] Result<std::vector<FoundCluster>> look(Calls& calls);

 private:
  [[nodiscard]] std::vector<std::string> addresses();
  [[nodiscard]] std::shared_ptr<ManagerLink> link(const std::string& address);

  const ClusterOptions& options_;
  const function::Log& log_;
  const ManagerCredentials credentials_;
  // Kept from look to look, connections and all; by address.
  std::map<std::string, std::shared_ptr<ManagerLink>> links_;
  std::map<std::string, std::string> complaints_;  // by source: said once
};

// Whether `other` is so much closer that a session is worth moving: not by the noise of measuring.
[[nodiscard]] bool is_worth_moving(std::chrono::microseconds current,
                                   std::chrono::microseconds other);

}  // namespace aloft::device
