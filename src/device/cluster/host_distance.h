// How far the hosts of a cluster are from this device: the time that a TCP connection to each takes
// to be made, which is one round trip. Nothing is said over it.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace aloft::device {

struct HostAt {
  std::string id;
  std::string address;  // IP:PORT; what is no address of this kind is not measured
};

// All at once; takes `limit` at most. Those that did not answer are left out: they may be behind
// something that lets devices through to their sessions alone.
[[nodiscard]] std::map<std::string, std::chrono::microseconds> measure_distances(
    const std::vector<HostAt>& hosts, std::chrono::milliseconds limit);

}  // namespace aloft::device
