// DNS-SD over multicast: managers that announce themselves on the networks of this device
// (discovery.announce of aloft-manager), as the machine's Avahi daemon hears them.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mdns/avahi.h"
#include "net/address.h"
#include <aloft/cluster.h>

namespace aloft {
namespace {

class MulticastDnsSd final : public ManagerSource {
 public:
  std::string name() const override { return "DNS-SD over multicast"; }

  Result<std::vector<std::string>> find(std::chrono::milliseconds limit) override {
    auto found = mdns::browse("_aloft._tcp", limit);
    if (!found) return std::unexpected(std::move(found).error());
    std::vector<std::string> managers;
    for (const mdns::Found& one : *found)
      managers.push_back(net::Address{one.address, one.port}.to_string());
    return managers;
  }
};

}  // namespace

std::shared_ptr<ManagerSource> multicast_dns_sd_source() {
  return std::make_shared<MulticastDnsSd>();
}

}  // namespace aloft
