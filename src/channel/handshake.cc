#include "channel/handshake.h"

#include <array>
#include <span>
#include <string>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <sys/socket.h>

#include "wire/error_text.h"
#include "wire/greeting.h"

namespace aloft::channel {
namespace {

namespace asio = boost::asio;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

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

asio::awaitable<Result<Received>> read_greeting(Socket& socket) {
  wire::GreetingBytes fixed;
  for (std::size_t size = 0; size < fixed.size();) {
    const auto [error, count] = co_await socket.async_read_some(
        asio::buffer(fixed.data() + size, fixed.size() - size), kAwait);
    size += count;
    // Whoever speaks another protocol may say less than a greeting and then wait for ever.
    if (auto ok = wire::check_start(std::span(fixed).first(size)); !ok)
      co_return std::unexpected(std::move(ok).error());
    if (error) co_return lost(error);
  }
  auto greeting = wire::unpack(fixed);
  if (!greeting) co_return std::unexpected(std::move(greeting).error());

  Received received{.greeting = *greeting, .payload = std::vector<std::byte>(greeting->length)};
  for (std::size_t size = 0; size < received.payload.size();) {
    const auto [error, count] = co_await socket.async_read_some(
        asio::buffer(received.payload.data() + size, received.payload.size() - size), kAwait);
    size += count;
    if (error) co_return lost(error);
  }
  co_return received;
}

}  // namespace

asio::awaitable<Result<Peer>> greet(Socket& socket, const EndpointOptions& options) {
  if (options.hello.size() > wire::kMaxHello)
    co_return fail(Errc::invalid_argument, "EndpointOptions::hello is longer than 4096 bytes");
  const std::vector<std::byte> hello =
      wire::pack_hello(wire::kVersions, options.receive, options.hello);
  const auto [error, size] = co_await asio::async_write(socket, asio::buffer(hello), kAwait);
  if (error) co_return lost(error);

  auto answer = co_await read_greeting(socket);
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

asio::awaitable<Result<Peer>> read_hello(Socket& socket) {
  auto hello = co_await read_greeting(socket);
  if (!hello) co_return std::unexpected(std::move(hello).error());
  if (hello->greeting.kind != wire::GreetingKind::hello)
    co_return fail(Errc::protocol, "handshake: kind is not hello");
  const auto version = wire::choose_version(wire::kVersions, hello->greeting.versions);
  if (!version) co_return std::unexpected(version.error());
  co_return Peer{std::move(hello->payload), hello->greeting.credit, *version};
}

Result<void> welcome(Socket& socket, const Peer& peer, const EndpointOptions& options) {
  const std::vector<std::byte> bytes =
      wire::pack_welcome(peer.version, options.receive, options.hello);
  if (::send(socket.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
      static_cast<ssize_t>(bytes.size())) {
    return {};
  }
  return fail(Errc::unreachable, "the peer went away in the handshake");
}

void refuse(Socket& socket, const Error& why) {
  const std::vector<std::byte> bytes = wire::pack_refused(wire::kVersions, why);
  (void)::send(socket.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  (void)::shutdown(socket.native_handle(), SHUT_WR);
  // Unread bytes would turn our FIN into an RST, which overtakes the refusal.
  std::array<std::byte, 4096> rest;
  while (::recv(socket.native_handle(), rest.data(), rest.size(), MSG_DONTWAIT) > 0) {
  }
}

}  // namespace aloft::channel
