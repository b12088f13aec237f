// The other end of a link for tests, without any of the code under test but the packing of frames:
// a plain socket that says exactly what a test wants.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

#include "base/descriptor.h"
#include "net/testing/loopback.h"
#include "wire/error_text.h"
#include "wire/frame.h"
#include "wire/greeting.h"

namespace aloft::channel::testing {

class RawPeer {
 public:
  RawPeer() = default;
  explicit RawPeer(Descriptor socket) : socket_(std::move(socket)) {}

  static RawPeer connect(std::uint16_t port) { return RawPeer(net::testing::connect_to(port)); }

  // Connected, and the handshake done with `credit` as this end's rule.
  static RawPeer connect_and_greet(std::uint16_t port,
                                   wire::CreditRule credit = wire::CreditRule::not_required) {
    RawPeer peer = connect(port);
    peer.write(wire::pack_hello(wire::kVersions, credit, {}));
    peer.read_greeting();
    return peer;
  }

  void write(std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
      const ssize_t size = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (size <= 0) return;
      bytes = bytes.subspan(static_cast<std::size_t>(size));
    }
  }
  void write(std::string_view text) const { write(std::as_bytes(std::span(text))); }

  void write_frame(const wire::FrameHeader& header, std::span<const std::byte> payload = {}) const {
    const wire::HeaderBytes packed = wire::pack(header);
    std::vector<std::byte> bytes(packed.begin(), packed.end());
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    write(bytes);
  }

  // Exactly `size` bytes; fewer if the other end ends or says nothing for 5 s.
  [[nodiscard]] std::vector<std::byte> read(std::size_t size) const {
    std::vector<std::byte> bytes(size);
    std::size_t got = 0;
    while (got < size) {
      pollfd waiting{socket_.get(), POLLIN, 0};
      if (::poll(&waiting, 1, 5000) <= 0) break;
      const ssize_t count = ::recv(socket_.get(), bytes.data() + got, size - got, 0);
      if (count <= 0) break;
      got += static_cast<std::size_t>(count);
    }
    bytes.resize(got);
    return bytes;
  }

  // The next greeting's fixed part; its payload is skipped.
  Result<wire::Greeting> read_greeting() const {
    const std::vector<std::byte> fixed = read(wire::kGreetingSize);
    if (fixed.size() < wire::kGreetingSize) return fail(Errc::unreachable, "no greeting came");
    auto greeting = wire::unpack(std::span<const std::byte, wire::kGreetingSize>(fixed));
    if (greeting) (void)read(greeting->length);
    return greeting;
  }

  struct Frame {
    wire::FrameHeader header;
    std::vector<std::byte> payload;
  };
  // The next frame that is no ping or pong.
  [[nodiscard]] Result<Frame> read_frame() const {
    for (;;) {
      const std::vector<std::byte> packed = read(wire::kHeaderSize);
      if (packed.size() < wire::kHeaderSize) return fail(Errc::unreachable, "no frame came");
      const auto header = wire::unpack(std::span<const std::byte, wire::kHeaderSize>(packed));
      if (!header) return std::unexpected(header.error());
      Frame frame{*header, read(header->length)};
      if (header->type != wire::FrameType::ping && header->type != wire::FrameType::pong)
        return frame;
    }
  }

  // Whether the next frame is a ping.
  [[nodiscard]] bool read_ping() const {
    const std::vector<std::byte> packed = read(wire::kHeaderSize);
    if (packed.size() < wire::kHeaderSize) return false;
    const auto header = wire::unpack(std::span<const std::byte, wire::kHeaderSize>(packed));
    return header && header->type == wire::FrameType::ping &&
           read(header->length).size() == wire::kPingSize;
  }

  // Waits for the other end to end the connection; false after 5 s. What else comes is dropped.
  [[nodiscard]] bool read_end() const {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    std::vector<std::byte> rest(65536);
    while (std::chrono::steady_clock::now() < limit) {
      pollfd waiting{socket_.get(), POLLIN, 0};
      if (::poll(&waiting, 1, 1000) > 0 && ::recv(socket_.get(), rest.data(), rest.size(), 0) <= 0)
        return true;
    }
    return false;
  }

  void shut() const { ::shutdown(socket_.get(), SHUT_WR); }
  void close_with_rst() {
    const linger hard{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close();
  }
  void close() { socket_ = {}; }
  [[nodiscard]] int socket() const { return socket_.get(); }

 private:
  Descriptor socket_;
};

// Listens for the code under test to connect.
class RawListener {
 public:
  [[nodiscard]] std::uint16_t port() const { return listening_.port(); }
  [[nodiscard]] RawPeer accept() const { return RawPeer(listening_.accept()); }
  [[nodiscard]] RawPeer accept_and_greet() const {
    RawPeer peer = accept();
    (void)peer.read_greeting();
    peer.write(wire::pack_welcome(1, wire::CreditRule::not_required, {}));
    return peer;
  }
  [[nodiscard]] int socket() const { return listening_.socket(); }
  // The descriptor, which is the caller's then.
  [[nodiscard]] int release() { return listening_.release(); }

 private:
  net::testing::Listening listening_;
};

}  // namespace aloft::channel::testing
