// A cluster in place of fixed edges: the device finds the closest one that accepts it, shows its
// credentials there, and is given a host; calls, objects and channels follow when the cluster moves
// the session to another host, or when another cluster has become closer.
//
//   auto cluster = aloft::join_cluster({.managers = {"10.0.0.5:7400"},
//                                       .authority = text_of("ca.pem"),
//                                       .certificate = text_of("tenant-default.pem"),
//                                       .key = text_of("tenant-default.key")});
//   auto runtime = aloft::Runtime::create({.cluster = *cluster});
//
// Link aloft::cluster_client beside aloft::aloft: gRPC comes with join_cluster() alone, and a
// program without a cluster has none of it (RuntimeOptions::cluster is an interface).
//
// All of it happens in the background: no call waits for a manager, and once a session is open,
// calls go on when every manager is dead.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <aloft/result.h>

namespace aloft {

namespace device {
class ClusterClient;  // what a Runtime needs of a cluster
}

// Where managers may be found. Thread rule: one thread at a time, in the background.
class ManagerSource {
 public:
  virtual ~ManagerSource() = default;
  // For people.
  [[nodiscard]] virtual std::string name() const = 0;
  // HOST:PORT of each, the likeliest first; may take up to `limit`. Errors: what was in the way.
  [[nodiscard]] virtual Result<std::vector<std::string>> find(std::chrono::milliseconds limit) = 0;
};

// The records of _aloft._tcp.DOMAIN (RFC 6763, asked of the resolver that the system is set up
// with); empty: of the domains that the system searches.
[[nodiscard]] std::shared_ptr<ManagerSource> dns_sd_source(std::string domain = {});

// Managers of the networks that this device is in, as they announce themselves by multicast: of the
// machine's Avahi daemon. A certificate of such a manager has to be for its IP address.
[[nodiscard]] std::shared_ptr<ManagerSource> multicast_dns_sd_source();

struct CamaraOptions {
  std::string url;           // of the operator's API, up to the version:
                             // "https://api.example.com/simple-edge-discovery/v1"
  std::string token;         // OAuth 2 access token, shown as a bearer's
  std::string authority;     // PEM of whom to trust; empty: the system's
  std::string phone_number;  // of the device, E.164; empty: the operator knows it by its connection
  // Name of an edge zone -> HOST:PORT of a manager there.
  std::vector<std::pair<std::string, std::string>> zones;
};
// CAMARA Simple Edge Discovery: the operator of the mobile network names the zone that is closest.
[[nodiscard]] std::shared_ptr<ManagerSource> camara_source(CamaraOptions options);

struct ClusterOptions {
  // HOST:PORT of managers: of one cluster, or of several, of which the closest that accepts wins.
  std::vector<std::string> managers;
  // Further ones; asked at the start, and again when the network changes.
  std::vector<std::shared_ptr<ManagerSource>> sources;
  // PEM texts: whose certificates managers show (empty: the system's authorities), and this
  // device's, or a bearer token in their place. Without a certificate the device makes a key for
  // its connections to hosts, which ends with it.
  std::string authority;
  std::string certificate;
  std::string key;
  std::string token;
  // W3C `traceparent` of whatever this run belongs to: the logs of managers, hosts and guests then
  // say its trace id. Empty: each session gets a new one, which the log of this runtime says.
  std::string traceparent;
  // What is asked for; 0: what the tenant gets without asking.
  std::uint64_t memory_bytes = 0;
  std::uint32_t cpu_millicores = 0;
  std::uint32_t gpus = 0;
  // What the host must have: "sha256:..." of models, "cuda".
  std::vector<std::string> models;
  std::vector<std::string> accelerators;
};

// Checks the options; nothing is connected before a Runtime is made with it, one at a time. Errors:
// invalid_argument, corrupt (a text is no PEM), each naming the option.
[[nodiscard]] Result<std::shared_ptr<device::ClusterClient>> join_cluster(ClusterOptions options);

}  // namespace aloft
