// Makes a link of a fresh TCP connection: TLS, where it is asked for, and inside of it both ends
// show who they are (wire/greeting.h).
//
// Nothing beyond the greeting is read, so that the link finds the first frame. All on the I/O
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "channel/endpoint.h"
#include "channel/transport.h"
#include <aloft/result.h>

namespace aloft::channel {

using Socket = boost::asio::ip::tcp::socket;

struct Connection {
  Socket socket;
  std::unique_ptr<TlsTransport> tls{};  // null: in clear
};

// What the other end showed.
struct Peer {
  std::vector<std::byte> hello;
  CreditRule credit = CreditRule::required;
  std::uint16_t version = 0;  // the one that both speak
};

// The handshake of TLS, if EndpointOptions::tls is set; `host` is whom the connecting side expects.
// Errors: protocol (no TLS, no trust), unreachable.
[[nodiscard]] boost::asio::awaitable<Result<void>> secure(Connection& connection,
                                                          const EndpointOptions& options,
                                                          const std::string& host);

// The connecting side. Errors: protocol, version_mismatch, what the peer refuses with, unreachable.
[[nodiscard]] boost::asio::awaitable<Result<Peer>> greet(Connection& connection,
                                                         const EndpointOptions& options);

// The listening side, first half: reads the peer's HELLO. Errors as above; for protocol and
// version_mismatch the peer is to be refused.
[[nodiscard]] boost::asio::awaitable<Result<Peer>> read_hello(Connection& connection);

// The listening side, second half. They are small enough for the buffer of a fresh socket and so
// never wait.
[[nodiscard]] Result<void> welcome(Connection& connection, const Peer& peer,
                                   const EndpointOptions& options);
void refuse(Connection& connection, const Error& why);

}  // namespace aloft::channel
