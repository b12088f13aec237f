// The limit: a ping-pong of two blocking threads over bare sockets.
#include <cstdlib>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call_sides.h"
#include "support/process.h"

namespace aloft::bench {
namespace {

void no_delay(int socket) {
  const int on = 1;
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool receive(int socket, void* data, std::size_t size) {
  auto* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t count = ::recv(socket, at, size, 0);
    if (count <= 0) return false;
    at += count;
    size -= static_cast<std::size_t>(count);
  }
  return true;
}

bool send_all(int socket, const void* data, std::size_t size) {
  const auto* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t count = ::send(socket, at, size, MSG_NOSIGNAL);
    if (count <= 0) return false;
    at += count;
    size -= static_cast<std::size_t>(count);
  }
  return true;
}

class TcpSide final : public Side {
 public:
  TcpSide() {
    std::error_code error;
    const std::string self = std::filesystem::read_symlink("/proc/self/exe", error).string();
    auto started = testing::Process::start(
        {"taskset", "-c", std::string(kServerCore), self, "--serve", "tcp"});
    if (!started) die(started.error().message);
    server_ = std::make_unique<testing::Process>(std::move(*started));
    const auto line = server_->read_line(std::chrono::seconds(10));
    if (!line) die("the TCP server did not start: " + server_->transcript());
    port_ = static_cast<std::uint16_t>(std::atoi(line->c_str()));
  }
  ~TcpSide() override {
    if (socket_ >= 0) ::close(socket_);
  }

  // A connection for each size, which its first bytes say.
  void prepare(std::size_t request_bytes) override {
    if (request_.size() == request_bytes && socket_ >= 0) return;
    if (socket_ >= 0) ::close(socket_);
    request_.assign(request_bytes, 1);
    socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in address = loopback(port_);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      die("cannot connect to the TCP server");
    no_delay(socket_);
    const std::uint64_t size = request_bytes;
    if (!send_all(socket_, &size, sizeof size)) die("the TCP server is gone");
  }
  void call() override {
    if (!send_all(socket_, request_.data(), request_.size()) ||
        !receive(socket_, reply_, sizeof reply_))
      die("the TCP server is gone");
  }
  [[nodiscard]] bool has_pipeline() const override { return false; }
  [[nodiscard]] pid_t server() const override { return server_->pid(); }

 private:
  std::unique_ptr<testing::Process> server_;
  std::uint16_t port_ = 0;
  int socket_ = -1;
  std::vector<char> request_;
  char reply_[kReply];
};

}  // namespace

std::unique_ptr<Side> make_tcp_side() { return std::make_unique<TcpSide>(); }

void serve_tcp() {
  const int listening = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof address;
  if (::bind(listening, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::listen(listening, 4) != 0)
    die("cannot listen");
  (void)::getsockname(listening, reinterpret_cast<sockaddr*>(&address), &length);
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  std::vector<char> request;
  for (;;) {
    const int socket = ::accept(listening, nullptr, nullptr);
    no_delay(socket);
    std::uint64_t size = 0;
    if (receive(socket, &size, sizeof size)) {
      request.resize(size);
      char reply[kReply] = {};
      while (receive(socket, request.data(), size)) {
        reply[0] = static_cast<char>(touch_lines(request.data(), size));
        if (!send_all(socket, reply, sizeof reply)) break;
      }
    }
    ::close(socket);
  }
}

}  // namespace aloft::bench
