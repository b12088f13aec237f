// Makes a link of a fresh TCP connection: shows who this end is and learns who the other one is
// (wire/greeting.h).
//
// Nothing beyond the greeting is read, so that the link finds the first frame. All on the I/O
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "channel/endpoint.h"
#include <aloft/result.h>

namespace aloft::channel {

using Socket = boost::asio::ip::tcp::socket;

// What the other end showed.
struct Peer {
  std::vector<std::byte> hello;
  CreditRule credit = CreditRule::required;
  std::uint16_t version = 0;  // the one that both speak
};

// The connecting side. Errors: protocol, version_mismatch, what the peer refuses with, unreachable.
[[nodiscard]] boost::asio::awaitable<Result<Peer>> greet(Socket& socket,
                                                         const EndpointOptions& options);

// The listening side, first half: reads the peer's HELLO. Errors as above; for protocol and
// version_mismatch the peer is to be refused.
[[nodiscard]] boost::asio::awaitable<Result<Peer>> read_hello(Socket& socket);

// The listening side, second half. They are small enough for the buffer of a fresh socket and so
// never wait.
[[nodiscard]] Result<void> welcome(Socket& socket, const Peer& peer,
                                   const EndpointOptions& options);
void refuse(Socket& socket, const Error& why);

}  // namespace aloft::channel
