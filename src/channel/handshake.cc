#include "channel/handshake.h"

#include <array>
#include <chrono>
#include <span>
#include <string>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <sys/socket.h>

#include "wire/error_text.h"
#include "wire/greeting.h"

namespace aloft::channel {
namespace {

namespace asio = boost::asio;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// Who says it byte by byte, on many connections, wakes this end as often; after more pieces than an
// honest handshake comes in, it is looked at now and then.
constexpr int kMaxPieces = 16;
constexpr std::chrono::milliseconds kPiecePause{50};

// A greeting as it came.
struct Received {
  wire::Greeting greeting;
  std::vector<std::byte> payload;
};

std::unexpected<Error> lost(const boost::system::error_code& error) {
  if (error == asio::error::eof)
    return fail(Errc::unreachable, "the peer closed the connection in the handshake");
  return fail(Errc::unreachable, "the connection was lost in the handshake: " + error.message());
}

// Some bytes, at least one.
asio::awaitable<Result<std::size_t>> read_some(Connection& connection, std::span<std::byte> place) {
  if (!connection.tls) {
    const auto [error, count] = co_await connection.socket.async_read_some(
        asio::buffer(place.data(), place.size()), kAwait);
    if (count == 0) co_return lost(error);
    co_return count;
  }
  for (;;) {
    const iovec where{place.data(), place.size()};
    const auto moved = connection.tls->read({&where, 1});
    if (moved.bytes > 0) co_return moved.bytes;
    if (moved.then == Transport::Then::lost) co_return std::unexpected(connection.tls->failure());
    if (moved.then == Transport::Then::ended) co_return lost(asio::error::eof);
    const auto [error] = co_await connection.socket.async_wait(Socket::wait_read, kAwait);
    if (error) co_return lost(error);
  }
}

asio::awaitable<Result<void>> write_all(Connection& connection, std::span<const std::byte> bytes) {
  if (!connection.tls) {
    const auto [error, size] = co_await asio::async_write(
        connection.socket, asio::buffer(bytes.data(), bytes.size()), kAwait);
    if (error) co_return lost(error);
    co_return Result<void>{};
  }
  for (;;) {
    const iovec what{const_cast<std::byte*>(bytes.data()), bytes.size()};
    const auto moved = connection.tls->write({&what, 1});
    bytes = bytes.subspan(moved.bytes);
    if (moved.then == Transport::Then::lost) co_return std::unexpected(connection.tls->failure());
    if (bytes.empty() && connection.tls->flush() == Transport::Then::full) co_return Result<void>{};
    const auto [error] = co_await connection.socket.async_wait(Socket::wait_write, kAwait);
    if (error) co_return lost(error);
  }
}

// What is small enough for the buffer of a fresh socket.
bool write_now(Connection& connection, std::span<const std::byte> bytes) {
  const iovec what{const_cast<std::byte*>(bytes.data()), bytes.size()};
  if (connection.tls) {
    return connection.tls->write({&what, 1}).bytes == bytes.size() &&
           connection.tls->flush() == Transport::Then::full;
  }
  const auto plain = plain_transport(connection.socket.native_handle());
  return plain->write({&what, 1}).bytes == bytes.size();
}

// The first byte of a record of a handshake, or of an alert.
bool speaks_tls(const wire::GreetingBytes& start, std::size_t size, const Connection& connection) {
  constexpr std::byte kAlert{21};
  constexpr std::byte kHandshake{22};
  return !connection.tls && size > 0 && (start[0] == kAlert || start[0] == kHandshake);
}

asio::awaitable<Result<Received>> read_greeting(Connection& connection) {
  wire::GreetingBytes fixed;
  for (std::size_t size = 0; size < fixed.size();) {
    const auto count =
        co_await read_some(connection, std::as_writable_bytes(std::span(fixed)).subspan(size));
    if (count) size += *count;
    // Whoever speaks another protocol may say less than a greeting and then wait for ever.
    if (auto ok = wire::check_start(std::span(fixed).first(size)); !ok)
      co_return std::unexpected(
          speaks_tls(fixed, size, connection)
              ? Error{Errc::protocol, "the peer speaks TLS, this end does not"}
              : std::move(ok).error());
    if (!count) co_return std::unexpected(count.error());
  }
  auto greeting = wire::unpack(fixed);
  if (!greeting) co_return std::unexpected(std::move(greeting).error());

  Received received{.greeting = *greeting, .payload = std::vector<std::byte>(greeting->length)};
  for (std::size_t size = 0; size < received.payload.size();) {
    const auto count = co_await read_some(connection, std::span(received.payload).subspan(size));
    if (!count) co_return std::unexpected(count.error());
    size += *count;
  }
  co_return received;
}

}  // namespace

asio::awaitable<Result<void>> secure(Connection& connection, const EndpointOptions& options,
                                     const std::string& host) {
  Socket& socket = connection.socket;
  boost::system::error_code error;
  // A side that has written twice without an answer, as at the end of TLS's handshake, would wait
  // for the other one's acknowledgement, which that delays by 40 ms.
  socket.set_option(boost::asio::ip::tcp::no_delay(true), error);
  if (!options.tls) co_return Result<void>{};
  socket.native_non_blocking(true, error);
  connection.tls = tls_transport(socket.native_handle(), *options.tls, host);
  asio::steady_timer pause(socket.get_executor());
  for (int pieces = 0;; ++pieces) {
    auto wanted = Socket::wait_read;
    switch (connection.tls->handshake()) {
      case TlsTransport::Step::done: co_return Result<void>{};
      case TlsTransport::Step::failed: co_return std::unexpected(connection.tls->failure());
      case TlsTransport::Step::want_read: break;
      case TlsTransport::Step::want_write: wanted = Socket::wait_write; break;
    }
    if (pieces > kMaxPieces) {
      pause.expires_after(kPiecePause);
      (void)co_await pause.async_wait(kAwait);
      if (!socket.is_open()) co_return lost(asio::error::operation_aborted);
    }
    const auto [failed] = co_await socket.async_wait(wanted, kAwait);
    if (failed) co_return lost(failed);
  }
}

asio::awaitable<Result<Peer>> greet(Connection& connection, const EndpointOptions& options) {
  const auto shown = options.make_hello ? options.make_hello() : options.hello;
  if (shown.size() > wire::kMaxHello)
    co_return fail(Errc::invalid_argument, "EndpointOptions::hello is longer than " +
                                               std::to_string(wire::kMaxHello) + " bytes");
  const std::vector<std::byte> hello = wire::pack_hello(wire::kVersions, options.receive, shown);
  if (auto written = co_await write_all(connection, hello); !written)
    co_return std::unexpected(std::move(written).error());

  auto answer = co_await read_greeting(connection);
  if (!answer) co_return std::unexpected(std::move(answer).error());
  const wire::Greeting& greeting = answer->greeting;
  switch (greeting.kind) {
    case wire::GreetingKind::welcome: {
      const auto version = wire::choose_version(wire::kVersions, greeting.versions);
      if (!version) co_return std::unexpected(version.error());
      co_return Peer{std::move(answer->payload), greeting.credit, *version};
    }
    case wire::GreetingKind::refused:
      // The peer's own words speak of it as `we`; both ranges say more.
      if (greeting.code == Errc::version_mismatch) {
        if (auto version = wire::choose_version(wire::kVersions, greeting.versions); !version)
          co_return std::unexpected(std::move(version).error());
      }
      co_return fail(greeting.code, wire::printable(answer->payload));
    case wire::GreetingKind::hello: break;
  }
  co_return fail(Errc::protocol, "handshake: kind is hello, must be welcome or refused");
}

asio::awaitable<Result<Peer>> read_hello(Connection& connection) {
  auto hello = co_await read_greeting(connection);
  if (!hello) co_return std::unexpected(std::move(hello).error());
  if (hello->greeting.kind != wire::GreetingKind::hello)
    co_return fail(Errc::protocol, "handshake: kind is not hello");
  const auto version = wire::choose_version(wire::kVersions, hello->greeting.versions);
  if (!version) co_return std::unexpected(version.error());
  co_return Peer{std::move(hello->payload), hello->greeting.credit, *version};
}

Result<void> welcome(Connection& connection, const Peer& peer, const EndpointOptions& options) {
  const std::vector<std::byte> bytes =
      wire::pack_welcome(peer.version, options.receive, options.hello);
  if (write_now(connection, bytes)) return {};
  return fail(Errc::unreachable, "the peer went away in the handshake");
}

void refuse(Connection& connection, const Error& why) {
  const std::vector<std::byte> bytes = wire::pack_refused(wire::kVersions, why);
  const int socket = connection.socket.native_handle();
  (void)write_now(connection, bytes);
  if (connection.tls) connection.tls->end();
  (void)::shutdown(socket, SHUT_WR);
  // Unread bytes would turn our FIN into an RST, which overtakes the refusal.
  std::array<std::byte, 4096> rest;
  while (::recv(socket, rest.data(), rest.size(), MSG_DONTWAIT) > 0) {
  }
}

}  // namespace aloft::channel
