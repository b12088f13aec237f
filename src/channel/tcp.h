// Endpoints over TCP: the side that connects, and the side that listens.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "channel/endpoint.h"
#include "channel/io_thread.h"
#include "net/address.h"
#include <aloft/result.h>

namespace aloft::channel {

// The side that connects, and connects again whenever the link is lost, until it is destroyed,
// closed, or refused for good (see Receiver::on_down). `io` and `receiver` must outlive the
// endpoint. Any thread.
[[nodiscard]] std::unique_ptr<Endpoint> connect_tcp(IoThread& io, net::Address address,
                                                    EndpointOptions options, Receiver& receiver);

// Who a connection comes from, as far as its link says.
struct PeerInfo {
  std::string_view address;  // HOST:PORT, numeric; valid during the call only
  // SHA-256 of the SubjectPublicKeyInfo (DER) of the certificate that it showed; it has the private
  // key. None: in clear, or it showed none.
  std::optional<Digest> key{};
};

// Decides about connections that come in. Called on the listener's I/O thread.
class Acceptor {
 public:
  virtual ~Acceptor() = default;
  // A peer whose wire version fits showed `peer_hello` (valid during the call only). Gives the
  // receiver for it, which must outlive its endpoint, or an Error that the peer is told: `refused`
  // for good, others until it tries again.
  virtual Result<Receiver*> accept(std::span<const std::byte> peer_hello, const PeerInfo& peer) = 0;
  // What this peer is shown in the handshake in place of EndpointOptions::hello, at most
  // wire::kMaxHello bytes; empty: that. Asked once, right after accept() gave this receiver.
  virtual std::vector<std::byte> hello_for(Receiver* receiver) {
    (void)receiver;
    return {};
  }
  // Follows each accept() that gave a receiver: here is its endpoint, which can be used from here
  // on. Its first callback, on_up, comes next. When its link is lost (Receiver::on_down) it stays
  // down; the peer comes back as another one.
  virtual void ready(Receiver* receiver, std::unique_ptr<Endpoint> endpoint) = 0;
};

// Thread rule: any thread. Destroying it from a thread other than its I/O thread waits for a
// running callback of its acceptor; accepted endpoints live on.
class Listener {
 public:
  virtual ~Listener() = default;
  [[nodiscard]] virtual net::Address address() const = 0;  // with the port that was chosen
  // In place of EndpointOptions::tls, for connections that come from now on.
  virtual void show(std::shared_ptr<const TlsContext> tls) = 0;
};

// Listens on `address`. `io` and `acceptor` must outlive the listener. Errors: unreachable, saying
// why the address cannot be listened on.
[[nodiscard]] Result<std::unique_ptr<Listener>> listen_tcp(IoThread& io,
                                                           const net::Address& address,
                                                           EndpointOptions options,
                                                           Acceptor& acceptor);

// Serves a socket that is listening already, and that other processes may share. Takes `socket`
// over (a file descriptor), also when it fails. Errors: invalid_argument if it is no listening TCP
// socket.
[[nodiscard]] Result<std::unique_ptr<Listener>> listen_inherited(IoThread& io, int socket,
                                                                 EndpointOptions options,
                                                                 Acceptor& acceptor);

}  // namespace aloft::channel
