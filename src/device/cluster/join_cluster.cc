// What an application calls to have a cluster: checks the options, makes the client.
#include <string>
#include <utility>

#include "device/cluster/client_key.h"
#include "device/cluster/cluster_seeker.h"
#include "net/address.h"
#include "ops/trace.h"
#include <aloft/cluster.h>

namespace aloft {
namespace {

Result<void> check(const ClusterOptions& options) {
  const auto refused = [](const std::string& what) {
    return fail(Errc::invalid_argument, "ClusterOptions: " + what);
  };
  if (options.managers.empty() && options.sources.empty())
    return refused("neither managers nor sources that find them");
  for (const std::string& manager : options.managers) {
    auto address = net::Address::parse(manager);
    if (!address) return refused("managers: " + address.error().message);
    if (address->port == 0) return refused("managers: " + manager + " has no port");
  }
  for (const auto& source : options.sources) {
    if (source == nullptr) return refused("sources: one of them is null");
  }
  if (options.certificate.empty() != options.key.empty())
    return refused("a certificate and its key are given together");
  if (options.certificate.empty() && options.token.empty())
    return refused("neither a certificate nor a token says who this device is");
  if (options.token.find_first_of("\r\n") != std::string::npos)
    return refused("the token has more than one line");
  if (!options.traceparent.empty() && !ops::Trace::parse(options.traceparent))
    return refused("traceparent: not one of W3C Trace Context, version 00");
  return {};
}

}  // namespace

Result<std::shared_ptr<device::ClusterClient>> join_cluster(ClusterOptions options) {
  if (auto ok = check(options); !ok) return std::unexpected(std::move(ok.error()));
  auto key = options.certificate.empty() ? device::make_client_key()
                                         : device::client_key_of(options.certificate, options.key);
  if (!key) {
    key.error().message = "ClusterOptions: " + key.error().message;
    return std::unexpected(std::move(key.error()));
  }
  return std::make_shared<device::ClusterSeeker>(std::move(options), *std::move(key));
}

}  // namespace aloft
