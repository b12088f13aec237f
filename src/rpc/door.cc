#include "rpc/door.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <poll.h>

#include "base/descriptor.h"
#include "base/wake_up.h"
#include "net/address.h"
#include "wire/silent_peers.h"

namespace aloft::rpc {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

}  // namespace

struct Door::Impl {
  Result<void> listen(const std::string& address);
  void run();
  void take(int listener, Descriptor peer) const;

  asio::io_context io;
  std::vector<tcp::acceptor> listeners;
  std::uint16_t port = 0;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> server;
  WakeUp end;
  std::thread thread;
};

Result<void> Door::Impl::listen(const std::string& address) {
  const auto wanted = net::Address::parse(address);
  if (!wanted) return std::unexpected(wanted.error());
  boost::system::error_code error;
  const auto cannot = [&] {
    return fail(Errc::unreachable, "cannot listen on " + address + ": " + error.message());
  };
  tcp::resolver resolver(io);
  const auto places =
      resolver.resolve(wanted->host, std::to_string(wanted->port),
                       tcp::resolver::passive | tcp::resolver::numeric_service, error);
  if (error) return cannot();
  boost::system::error_code first;
  for (tcp::endpoint place : places) {
    if (place.port() == 0) place.port(port);
    tcp::acceptor listener(io);
    listener.open(place.protocol(), error);
    if (!error) listener.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) listener.bind(place, error);
    if (!error) {
      wire::keep_silent_peers_out(listener.native_handle());
      listener.set_option(tcp::no_delay(true), error);  // those that it accepts inherit it
    }
    if (!error) listener.listen(tcp::acceptor::max_listen_connections, error);
    if (!error) listener.non_blocking(true, error);
    if (!error) port = listener.local_endpoint(error).port();
    // A machine without IPv6 has a name's IPv4 address all the same.
    if (error == asio::error::address_in_use) return cannot();
    if (error) {
      first = first ? first : error;
      continue;
    }
    listeners.push_back(std::move(listener));
  }
  error = first;
  if (listeners.empty()) return cannot();
  return {};
}

void Door::Impl::take(int listener, Descriptor peer) const {
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
  connection.listener_fd = listener;
  connection.fd = peer.release();
  server->HandleNewConnection(&connection);
}

void Door::Impl::run() {
  std::vector<pollfd> all{{end.descriptor(), POLLIN, 0}};
  for (auto& listener : listeners) all.push_back({listener.native_handle(), POLLIN, 0});
  for (;;) {
    if (::poll(all.data(), all.size(), -1) < 0 && errno != EINTR) return;
    if (all[0].revents != 0) return;
    std::chrono::milliseconds pause{0};
    for (std::size_t i = 1; i < all.size(); ++i) {
      if (all[i].revents == 0) continue;
      const int listener = all[i].fd;
      pause = std::max(pause, wire::take_peers(listener, [&](Descriptor peer) {
                         take(listener, std::move(peer));
                       }));
    }
    if (pause.count() > 0 && ::poll(all.data(), 1, static_cast<int>(pause.count())) > 0) return;
  }
}

Door::Door(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Door::~Door() { close(); }

Result<std::unique_ptr<Door>> Door::listen(const std::string& address) {
  auto impl = std::make_unique<Impl>();
  if (auto listening = impl->listen(address); !listening)
    return std::unexpected(std::move(listening).error());
  return std::unique_ptr<Door>(new Door(std::move(impl)));
}

std::uint16_t Door::port() const { return impl_->port; }

void Door::lead_to(grpc::ServerBuilder& builder,
                   std::shared_ptr<grpc::ServerCredentials> credentials) {
  impl_->server = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      std::move(credentials));
}

void Door::open() {
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

void Door::close() {
  if (!impl_->thread.joinable()) return;
  impl_->end.wake();
  impl_->thread.join();
  impl_->listeners.clear();
}

}  // namespace aloft::rpc
