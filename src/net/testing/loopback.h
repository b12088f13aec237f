// Plain sockets of this machine for tests: to play a peer without any of the code under test.
#pragma once

#include <cstdint>

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/descriptor.h"

namespace aloft::net::testing {

[[nodiscard]] inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

[[nodiscard]] inline Descriptor make_socket() {
  return Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}
// False: nobody listens there.
[[nodiscard]] inline bool connect(const Descriptor& socket, std::uint16_t port) {
  const sockaddr_in address = loopback(port);
  return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}
// None: nobody listens there.
[[nodiscard]] inline Descriptor connect_to(std::uint16_t port) {
  Descriptor socket = make_socket();
  if (!connect(socket, port)) return {};
  return socket;
}

// Listens at a port that was free.
class Listening {
 public:
  Listening() : socket_(make_socket()) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket_.get(), generic, size) != 0 || ::listen(socket_.get(), 16) != 0 ||
        ::getsockname(socket_.get(), generic, &size) != 0)
      return;
    port_ = ntohs(address.sin_port);
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }  // 0: it could not be done
  [[nodiscard]] int socket() const { return socket_.get(); }
  // Waits for who connects; none after stop().
  [[nodiscard]] Descriptor accept() const {
    return Descriptor(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }
  // From any thread.
  void stop() const { (void)::shutdown(socket_.get(), SHUT_RDWR); }
  // The descriptor, which is the caller's then.
  [[nodiscard]] int release() { return socket_.release(); }

 private:
  Descriptor socket_;
  std::uint16_t port_ = 0;
};

}  // namespace aloft::net::testing
