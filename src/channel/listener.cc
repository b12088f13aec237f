// The side that listens: takes connections, lets their owner decide about each, and hands over its
// endpoint.
#include <list>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "channel/handshake.h"
#include "channel/io_thread_impl.h"
#include "channel/tcp.h"
#include "channel/tcp_endpoint.h"
#include "wire/silent_peers.h"

namespace aloft::channel {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// Connections in the handshake at one time; for one more the oldest is closed. Who opens
// connections and says nothing has them all, soon, but a peer that does say something is through
// long before its own is the oldest.
constexpr std::size_t kMaxHandshakes = 256;
// Where the socket cannot be waited for, that is tried again after this.
constexpr std::chrono::milliseconds kAcceptPause{100};

net::Address address_of(const tcp::endpoint& endpoint) {
  return {endpoint.address().to_string(), endpoint.port()};
}

class ListenerCore final : public std::enable_shared_from_this<ListenerCore> {
 public:
  ListenerCore(IoThread::Impl& io, EndpointOptions options, Acceptor& acceptor)
      : io_(io), options_(std::move(options)), acceptor_(&acceptor), socket_(io.context) {}

  Result<void> listen(const net::Address& address) {
    boost::system::error_code error;
    tcp::resolver resolver(io_.context);
    const auto places =
        resolver.resolve(address.host, std::to_string(address.port), tcp::resolver::passive, error);
    const auto cannot = [&] {
      return fail(Errc::unreachable,
                  "cannot listen on " + address.to_string() + ": " + error.message());
    };
    if (error) return cannot();
    const tcp::endpoint place = places.begin()->endpoint();
    if (socket_.open(place.protocol(), error)) return cannot();
    if (socket_.set_option(tcp::acceptor::reuse_address(true), error)) return cannot();
    if (socket_.bind(place, error)) return cannot();
    wire::keep_silent_peers_out(socket_.native_handle());
    if (socket_.listen(tcp::acceptor::max_listen_connections, error)) return cannot();
    protocol_ = place.protocol();
    if (socket_.non_blocking(true, error)) return cannot();
    address_ = address_of(socket_.local_endpoint(error));
    return {};
  }

  // Takes `socket` over, also when it fails.
  Result<void> take(int socket) {
    int listening = 0;
    socklen_t size = sizeof listening;
    sockaddr_storage name{};
    socklen_t name_size = sizeof name;
    if (::getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || !listening ||
        ::getsockname(socket, reinterpret_cast<sockaddr*>(&name), &name_size) != 0 ||
        (name.ss_family != AF_INET && name.ss_family != AF_INET6)) {
      ::close(socket);
      return fail(Errc::invalid_argument,
                  "descriptor " + std::to_string(socket) + " is no listening TCP socket");
    }
    boost::system::error_code error;
    protocol_ = name.ss_family == AF_INET ? tcp::v4() : tcp::v6();
    socket_.assign(protocol_, socket, error);
    if (!error) socket_.non_blocking(true, error);
    if (error) {
      ::close(socket);
      return fail(Errc::invalid_argument, "cannot serve an inherited socket: " + error.message());
    }
    wire::keep_silent_peers_out(socket);
    address_ = address_of(socket_.local_endpoint(error));
    return {};
  }

  asio::awaitable<void> run() {
    asio::steady_timer pause(io_.context);
    while (acceptor_) {
      const auto [error] = co_await socket_.async_wait(tcp::acceptor::wait_read, kAwait);
      if (!acceptor_) break;
      const auto wait =
          error ? kAcceptPause : wire::take_peers(socket_.native_handle(), [this](Descriptor peer) {
            take_in(std::move(peer));
          });
      if (wait == wait.zero()) continue;
      pause.expires_after(wait);
      (void)co_await pause.async_wait(kAwait);
    }
  }

  // I/O thread. No call of the acceptor comes after.
  void stop() {
    acceptor_ = nullptr;
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

  // I/O thread.
  void show(std::shared_ptr<const TlsContext> tls) { options_.tls = std::move(tls); }

  [[nodiscard]] const net::Address& address() const { return address_; }
  [[nodiscard]] IoThread::Impl& io() { return io_; }

 private:
  void take_in(Descriptor socket) {
    boost::system::error_code error;
    tcp::socket connection(io_.context);
    connection.assign(protocol_, socket.get(), error);
    if (error) return;
    (void)socket.release();
    const auto peer = std::make_shared<Connection>(std::move(connection));
    if (handshakes_.size() >= kMaxHandshakes) {
      boost::system::error_code ignored;
      handshakes_.front()->socket.close(ignored);  // its own coroutine notices
      handshakes_.pop_front();
    }
    handshakes_.push_back(peer);
    auto greet = [self = shared_from_this(), peer]() -> asio::awaitable<void> {
      co_await self->greet_peer(peer);
    };
    asio::co_spawn(io_.context, std::move(greet), asio::detached);
  }

  asio::awaitable<void> greet_peer(std::shared_ptr<Connection> connection) {
    asio::steady_timer limit(io_.context, options_.connect_timeout);
    // It may come after all is done; it then closes a socket that was moved from.
    limit.async_wait([connection](const boost::system::error_code& error) {
      boost::system::error_code ignored;
      if (!error) connection->socket.close(ignored);
    });
    const auto secured = co_await secure(*connection, options_, {});
    auto peer =
        secured ? co_await read_hello(*connection) : Result<Peer>(std::unexpected(secured.error()));
    limit.cancel();
    std::erase(handshakes_, connection);
    if (!acceptor_) co_return;
    if (!peer) {
      if (secured && connection->socket.is_open()) refuse(*connection, peer.error());
      co_return;
    }
    serve(std::move(*connection), *peer);
  }

  // From accept() to ready() nothing waits: a receiver that was given always gets its endpoint.
  void serve(Connection connection, const Peer& peer) {
    boost::system::error_code error;
    const tcp::endpoint remote = connection.socket.remote_endpoint(error);
    if (error) return;
    const std::string address = address_of(remote).to_string();
    const Result<Receiver*> receiver = acceptor_->accept(
        peer.hello,
        {.address = address, .key = connection.tls ? connection.tls->peer_key() : std::nullopt});
    if (!receiver) {
      refuse(connection, receiver.error());
      return;
    }
    if (!acceptor_) return;  // accept() destroyed the listener
    EndpointOptions options = options_;
    if (auto hello = acceptor_->hello_for(*receiver); !hello.empty())
      options.hello = std::move(hello);
    // Where the peer has gone meanwhile, the link will say so.
    (void)welcome(connection, peer, options);
    const auto core = std::make_shared<EndpointCore>(io_, std::move(options), **receiver);
    core->take(std::move(connection), peer);
    acceptor_->ready(*receiver, std::make_unique<TcpEndpoint>(core));
    core->go_up(peer);
  }

  IoThread::Impl& io_;
  EndpointOptions options_;
  Acceptor* acceptor_;
  tcp::acceptor socket_;
  tcp protocol_ = tcp::v4();
  net::Address address_;
  std::list<std::shared_ptr<Connection>> handshakes_;  // in the order in which they came
};

class TcpListener final : public Listener {
 public:
  explicit TcpListener(std::shared_ptr<ListenerCore> core) : core_(std::move(core)) {
    auto run = [core = core_]() -> asio::awaitable<void> { co_await core->run(); };
    asio::co_spawn(core_->io().context, std::move(run), asio::detached);
  }
  ~TcpListener() override {
    core_->io().run([this] { core_->stop(); });
  }
  [[nodiscard]] net::Address address() const override { return core_->address(); }
  void show(std::shared_ptr<const TlsContext> tls) override {
    core_->io().run([&] { core_->show(std::move(tls)); });
  }

 private:
  std::shared_ptr<ListenerCore> core_;
};

}  // namespace

Result<std::unique_ptr<Listener>> listen_tcp(IoThread& io, const net::Address& address,
                                             EndpointOptions options, Acceptor& acceptor) {
  auto core = std::make_shared<ListenerCore>(io.impl(), std::move(options), acceptor);
  if (auto ok = core->listen(address); !ok) return std::unexpected(std::move(ok).error());
  return std::make_unique<TcpListener>(std::move(core));
}

Result<std::unique_ptr<Listener>> listen_inherited(IoThread& io, int socket,
                                                   EndpointOptions options, Acceptor& acceptor) {
  auto core = std::make_shared<ListenerCore>(io.impl(), std::move(options), acceptor);
  if (auto ok = core->take(socket); !ok) return std::unexpected(std::move(ok).error());
  return std::make_unique<TcpListener>(std::move(core));
}

}  // namespace aloft::channel
