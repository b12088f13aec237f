#include "support/relay.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <list>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace aloft::testing {
namespace {

using Clock = std::chrono::steady_clock;

// A chunk of bytes on its way; empty: the end of the stream.
struct Chunk {
  Clock::time_point due;
  std::vector<char> bytes;
  std::size_t sent = 0;
};

// One direction of a connection.
struct Way {
  int from = -1;
  int to = -1;
  std::deque<Chunk> chunks;
  std::size_t held = 0;  // bytes in chunks
  bool ended = false;    // its reader saw the end
  bool closed = false;   // and the other side was told
};

constexpr std::size_t kMaxHeld = 8 << 20;  // bytes on the way; then the sender has to wait

void check(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::abort();
}

sockaddr_in address_of(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  check(::inet_pton(AF_INET, host.c_str(), &address.sin_addr) == 1, "relay: address");
  return address;
}

int connect_to(const sockaddr_in& address) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  check(socket >= 0, "relay: socket");
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(socket);
    return -1;
  }
  return socket;
}

void prepare(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
}

void close_with_rst(int socket) {
  const linger hard{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  ::close(socket);
}

struct Connection {
  int client;
  int server;
  std::array<Way, 2> ways;  // to the server, to the client
  bool dead = false;
};

}  // namespace

class Relay::Impl {
 public:
  explicit Impl(const RelayPlace& place) : server_(address_of(place.server, place.server_port)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    check(listener_ >= 0, "relay: socket");
    sockaddr_in address = address_of(place.listen, 0);
    check(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0,
          "relay: bind");
    check(::listen(listener_, 64) == 0, "relay: listen");
    socklen_t size = sizeof address;
    check(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0,
          "relay: getsockname");
    port_ = ntohs(address.sin_port);
    wake_ = ::eventfd(0, EFD_NONBLOCK);
    check(wake_ >= 0, "relay: eventfd");
    thread_ = std::thread([this] { run(); });
  }

  ~Impl() {
    stop_ = true;
    wake();
    thread_.join();
    for (Connection& connection : connections_) end(connection);
    ::close(listener_);
    ::close(wake_);
  }

  void wake() const {
    const std::uint64_t one = 1;
    check(::write(wake_, &one, sizeof one) == sizeof one, "relay: write");
  }

  void cut() {
    cut_ = true;
    wake();
    while (cut_) std::this_thread::yield();
  }

  std::uint16_t port_ = 0;
  std::atomic<std::int64_t> delay_us_{0};
  std::atomic<bool> silent_{false};
  std::array<std::atomic<std::uint64_t>, 2> forwarded_{};

 private:
  static void end(Connection& connection) {
    if (std::exchange(connection.dead, true)) return;
    close_with_rst(connection.client);
    close_with_rst(connection.server);
  }

  void accept_one() {
    const int client = ::accept(listener_, nullptr, nullptr);
    if (client < 0) return;
    const int server = connect_to(server_);
    if (server < 0) {
      close_with_rst(client);
      return;
    }
    prepare(client);
    prepare(server);
    Connection connection{.client = client, .server = server, .ways = {}};
    connection.ways[0].from = connection.ways[1].to = client;
    connection.ways[0].to = connection.ways[1].from = server;
    connections_.push_back(std::move(connection));
  }

  // Answers false where the connection is broken.
  bool read(Way& way) const {
    std::vector<char> bytes(256 * 1024);
    const ssize_t size = ::recv(way.from, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    bytes.resize(static_cast<std::size_t>(size));
    if (size == 0) way.ended = true;
    way.held += bytes.size();
    way.chunks.push_back({Clock::now() + std::chrono::microseconds(delay_us_), std::move(bytes)});
    return true;
  }

  bool write(Way& way, std::atomic<std::uint64_t>& forwarded) {
    while (!way.chunks.empty() && way.chunks.front().due <= Clock::now()) {
      Chunk& chunk = way.chunks.front();
      if (chunk.bytes.empty()) {
        ::shutdown(way.to, SHUT_WR);
        way.closed = true;
        way.chunks.pop_front();
        continue;
      }
      const ssize_t size = ::send(way.to, chunk.bytes.data() + chunk.sent,
                                  chunk.bytes.size() - chunk.sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (size < 0) return errno == EAGAIN || errno == EINTR;
      forwarded += static_cast<std::uint64_t>(size);
      chunk.sent += static_cast<std::size_t>(size);
      way.held -= static_cast<std::size_t>(size);
      if (chunk.sent < chunk.bytes.size()) return true;
      way.chunks.pop_front();
    }
    return true;
  }

  void run() {
    while (!stop_) {
      std::vector<pollfd> polled{{listener_, POLLIN, 0}, {wake_, POLLIN, 0}};
      auto next = Clock::time_point::max();
      for (Connection& connection : connections_) {
        for (Way& way : connection.ways) {
          const bool reads = !silent_ && !way.ended && way.held < kMaxHeld;
          const bool due = !silent_ && !way.chunks.empty();
          const bool writes = due && way.chunks.front().due <= Clock::now();
          if (due && !writes) next = std::min(next, way.chunks.front().due);
          // A descriptor of -1 is not waited for; hang-ups would otherwise wake this thread without
          // end.
          polled.push_back({reads ? way.from : -1, POLLIN, 0});
          polled.push_back({writes ? way.to : -1, POLLOUT, 0});
        }
      }
      timespec timeout{1, 0};
      if (next != Clock::time_point::max()) {
        const auto left =
            std::max(std::chrono::nanoseconds(0), std::chrono::nanoseconds(next - Clock::now()));
        timeout = {left / std::chrono::seconds(1), (left % std::chrono::seconds(1)).count()};
      }
      if (::ppoll(polled.data(), polled.size(), &timeout, nullptr) < 0 && errno != EINTR)
        check(false, "relay: ppoll");

      std::uint64_t drained = 0;
      if (polled[1].revents != 0) (void)!::read(wake_, &drained, sizeof drained);
      forward(polled);
      if (cut_) {
        for (Connection& connection : connections_) end(connection);
        connections_.clear();
        cut_ = false;
      }
      if (polled[0].revents != 0) accept_one();
    }
  }

  void forward(const std::vector<pollfd>& polled) {
    std::size_t i = 2;
    for (Connection& connection : connections_) {
      for (std::size_t w = 0; w < connection.ways.size(); ++w) {
        Way& way = connection.ways[w];
        const bool readable = polled[i++].revents != 0;
        ++i;
        if (connection.dead || silent_) continue;
        if ((readable && !read(way)) || !write(way, forwarded_[w])) end(connection);
      }
      if (!connection.dead && connection.ways[0].closed && connection.ways[1].closed) {
        ::close(connection.client);
        ::close(connection.server);
        connection.dead = true;
      }
    }
    connections_.remove_if([](const Connection& connection) { return connection.dead; });
  }

  const sockaddr_in server_;
  int listener_ = -1;
  int wake_ = -1;
  std::list<Connection> connections_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> cut_{false};
  std::thread thread_;
};

Relay::Relay(const RelayPlace& place) : impl_(std::make_unique<Impl>(place)) {}
Relay::Relay(std::uint16_t server_port) : Relay(RelayPlace{.server_port = server_port}) {}
Relay::~Relay() = default;
std::uint16_t Relay::port() const { return impl_->port_; }
void Relay::set_delay(std::chrono::microseconds one_way) { impl_->delay_us_ = one_way.count(); }
void Relay::blackhole() {
  impl_->silent_ = true;
  impl_->wake();
}
void Relay::resume() {
  impl_->silent_ = false;
  impl_->wake();
}
void Relay::cut() { impl_->cut(); }
std::uint64_t Relay::bytes_to_server() const { return impl_->forwarded_[0]; }
std::uint64_t Relay::bytes_to_client() const { return impl_->forwarded_[1]; }

}  // namespace aloft::testing
