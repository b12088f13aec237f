// The side that connects: attempts, one link at a time, pauses between them.
#include <algorithm>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "channel/handshake.h"
#include "channel/io_thread_impl.h"
#include "channel/tcp.h"
#include "channel/tcp_endpoint.h"

namespace aloft::channel {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kLongestPause{750};

class Connector final : public EndpointCore {
 public:
  Connector(IoThread::Impl& io, net::Address address, EndpointOptions options, Receiver& receiver)
      : EndpointCore(io, std::move(options), receiver),
        address_(std::move(address)),
        pause_(io.context) {}

  // Goes on until the endpoint has ended.
  asio::awaitable<void> run() {
    auto delay = options().reconnect_delay;
    while (!ended()) {
      auto begun = asio::steady_timer::clock_type::now();
      auto peer = co_await attempt();
      if (ended()) break;
      if (peer) {
        delay = options().reconnect_delay;
        take(std::move(*std::exchange(attempt_, nullptr)), *peer);
        go_up(*peer);
        if (has_link()) co_await pause(asio::steady_timer::time_point::max());
        begun = asio::steady_timer::clock_type::now();  // the loss
      } else {
        attempt_ = nullptr;
        tell_down(peer.error(), {});
      }
      if (ended()) break;
      // From one attempt to the next: one that went nowhere for connect_timeout has been pause
      // enough, so that a link that works again is found little later than that.
      co_await pause(std::max(begun + delay,
                              asio::steady_timer::clock_type::now() + options().reconnect_delay));
      delay = std::min(delay * 2, kLongestPause);
    }
  }

 private:
  asio::awaitable<void> pause(asio::steady_timer::time_point end) {
    pause_.expires_at(end);
    co_await pause_.async_wait(kAwait);
  }

  // No attempt, pause or link is to be waited for any longer.
  void no_link() override {
    pause_.cancel();
    boost::system::error_code ignored;
    if (ended() && attempt_) attempt_->socket.close(ignored);
  }
  [[nodiscard]] bool connects_again() const override { return true; }

  // Makes a connection and shakes hands on it, into attempt_.
  asio::awaitable<Result<Peer>> attempt() {
    const auto connection = std::make_shared<Connection>(Socket(io().context));
    attempt_ = connection;
    // The handler may come after all is done; it then closes a socket that was moved from, or
    // nobody's.
    const auto expired = std::make_shared<bool>(false);
    asio::steady_timer limit(io().context, options().connect_timeout);
    limit.async_wait([connection, expired](const boost::system::error_code& error) {
      if (error) return;
      *expired = true;
      boost::system::error_code ignored;
      connection->socket.close(ignored);
    });

    Result<Peer> peer = co_await connect(*connection);
    limit.cancel();
    if (*expired) {
      co_return fail(Errc::unreachable, address_.to_string() + " did not answer within " +
                                            std::to_string(options().connect_timeout.count()) +
                                            " ms");
    }
    co_return peer;
  }

  asio::awaitable<Result<Peer>> connect(Connection& connection) {
    Socket& socket = connection.socket;
    tcp::resolver resolver(io().context);
    const auto [unknown, places] =
        co_await resolver.async_resolve(address_.host, std::to_string(address_.port), kAwait);
    if (unknown) {
      co_return fail(Errc::unreachable,
                     "cannot find the host of " + address_.to_string() + ": " + unknown.message());
    }
    const auto [refused, place] = co_await asio::async_connect(socket, places, kAwait);
    if (refused) {
      co_return fail(Errc::unreachable,
                     "cannot connect to " + address_.to_string() + ": " + refused.message());
    }
    // Nobody listens, and the system chose that very port for this end: TCP then connects it to
    // itself.
    boost::system::error_code error;
    if (socket.local_endpoint(error) == socket.remote_endpoint(error)) {
      socket.close(error);
      co_return fail(Errc::unreachable,
                     "cannot connect to " + address_.to_string() + ": nobody listens");
    }
    if (auto secured = co_await secure(connection, options(), address_.host); !secured) {
      secured.error().message = address_.to_string() + ": " + secured.error().message;
      co_return std::unexpected(std::move(secured).error());
    }
    auto peer = co_await greet(connection, options());
    if (!peer) peer.error().message = address_.to_string() + ": " + peer.error().message;
    co_return peer;
  }

  const net::Address address_;
  asio::steady_timer pause_;
  std::shared_ptr<Connection> attempt_;  // that is under way
};

}  // namespace

std::unique_ptr<Endpoint> connect_tcp(IoThread& io, net::Address address, EndpointOptions options,
                                      Receiver& receiver) {
  auto core =
      std::make_shared<Connector>(io.impl(), std::move(address), std::move(options), receiver);
  auto run = [core]() -> asio::awaitable<void> { co_await core->run(); };
  asio::co_spawn(io.impl().context, std::move(run), asio::detached);
  return std::make_unique<TcpEndpoint>(std::move(core));
}

}  // namespace aloft::channel
