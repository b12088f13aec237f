// A TCP relay for tests: stands between a client and a server and does to their connections what
// networks do.
//
// It forwards bytes both ways with a delay, can fall silent without closing anything (as a cable
// that was pulled), can cut connections (RST), and can go on. Real sockets, no privileges, no
// kernel modules.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace aloft::testing {

struct RelayPlace {
  std::string listen = "127.0.0.1";  // an address of this host; the system chooses the port
  std::string server = "127.0.0.1";  // to which each client is connected
  std::uint16_t server_port = 0;
};

// Thread rule: any thread. One thread of its own does the work, and ends in the destructor.
class Relay {
 public:
  // On the host (netns.h) of the thread that makes it, which may end.
  explicit Relay(const RelayPlace& place);
  // From 127.0.0.1 to 127.0.0.1.
  explicit Relay(std::uint16_t server_port);
  ~Relay();  // cuts what is connected
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  [[nodiscard]] std::uint16_t port() const;

  // Each byte leaves so long after it came, in each direction; for what comes from now on.
  void set_delay(std::chrono::microseconds one_way);
  // Nothing is forwarded, a close neither; connections stay open, new ones are taken and go
  // nowhere.
  void blackhole();
  // Ends blackhole(); what had come meanwhile is forwarded.
  void resume();
  // Ends all connections at once with an RST to both ends.
  void cut();
  // Bytes forwarded from clients to the server, and back.
  [[nodiscard]] std::uint64_t bytes_to_server() const;
  [[nodiscard]] std::uint64_t bytes_to_client() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace aloft::testing
