#include "device/cluster/host_distance.h"

#include <cerrno>
#include <memory>
#include <utility>

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/descriptor.h"
#include "net/address.h"

namespace aloft::device {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kMostHosts = 32;

// A connection in the making.
struct Probe {
  std::string id;
  Descriptor socket;
  steady_clock::time_point begun;
  bool connected = false;  // at once
};

// Without a socket where there is nothing to measure.
Probe begin(const HostAt& host) {
  Probe probe;
  probe.id = host.id;
  const auto address = net::Address::parse(host.address);
  if (!address) return probe;
  addrinfo hints{};
  // Names are not looked up: that may take longer than all the rest.
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(address->host.c_str(), std::to_string(address->port).c_str(), &hints, &found) !=
      0)
    return probe;
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  probe.socket =
      Descriptor(::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe.socket) return probe;
  probe.begun = steady_clock::now();
  const int connected = ::connect(probe.socket.get(), found->ai_addr, found->ai_addrlen);
  probe.connected = connected == 0;
  if (connected != 0 && errno != EINPROGRESS) probe.socket = {};
  return probe;
}

}  // namespace

std::map<std::string, std::chrono::microseconds> measure_distances(
    const std::vector<HostAt>& hosts, std::chrono::milliseconds limit) {
  std::map<std::string, std::chrono::microseconds> distances;
  const auto end = steady_clock::now() + limit;
  std::vector<Probe> probes;
  probes.reserve(kMostHosts);
  std::vector<pollfd> waiting;
  const auto note = [&](const Probe& probe) {
    distances[probe.id] =
        std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - probe.begun);
  };
  for (const HostAt& host : hosts) {
    if (probes.size() == kMostHosts) break;
    Probe probe = begin(host);
    if (probe.connected) note(probe);
    if (!probe.socket || probe.connected) continue;
    waiting.push_back({probe.socket.get(), POLLOUT, 0});
    probes.push_back(std::move(probe));
  }
  for (std::size_t left = waiting.size(); left > 0;) {
    const auto time = std::chrono::ceil<std::chrono::milliseconds>(end - steady_clock::now());
    if (time.count() <= 0) break;
    if (::poll(waiting.data(), waiting.size(), static_cast<int>(time.count())) <= 0) continue;
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i].fd < 0 || waiting[i].revents == 0) continue;
      int error = 0;
      socklen_t size = sizeof error;
      (void)::getsockopt(waiting[i].fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error == 0) note(probes[i]);
      waiting[i].fd = -1;
      --left;
    }
  }
  return distances;
}

}  // namespace aloft::device
