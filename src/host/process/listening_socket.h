// The socket that an edge listens on: opened once by the supervisor, served by whichever worker has
// its turn.
#pragma once

#include "net/address.h"
#include <aloft/result.h>

namespace aloft::host {

// Owns the file descriptor.
class ListeningSocket {
 public:
  enum class Reach { loopback, beyond };

  // Binds and listens; port 0 takes a free one. Errors: unreachable (the name is unknown, the
  // address is not this machine's, the port is taken).
  [[nodiscard]] static Result<ListeningSocket> open(const net::Address& address);
  // Which of the two `address` would be, without opening it. Errors: unreachable (the name is
  // unknown).
  [[nodiscard]] static Result<Reach> reach_of(const net::Address& address);

  ListeningSocket(ListeningSocket&& other) noexcept;
  ListeningSocket& operator=(ListeningSocket&& other) noexcept;
  ~ListeningSocket();

  // Numeric, with the port that was taken.
  [[nodiscard]] const net::Address& address() const { return address_; }
  // Another file descriptor of the socket, which the caller owns; negative when the process has no
  // more.
  [[nodiscard]] int duplicate() const;

 private:
  ListeningSocket(int fd, net::Address address);
  int fd_;
  net::Address address_;
};

}  // namespace aloft::host
