#include <cerrno>
#include <system_error>

#include <sys/socket.h>

#include "channel/transport.h"

namespace aloft::channel {
namespace {

std::size_t total(std::span<const iovec> places) {
  std::size_t size = 0;
  for (const iovec& place : places) size += place.iov_len;
  return size;
}

class PlainTransport final : public Transport {
 public:
  explicit PlainTransport(int socket) : socket_(socket) {}

  Moved read(std::span<const iovec> places) override {
    const ssize_t count = ::readv(socket_, places.data(), static_cast<int>(places.size()));
    if (count == 0) return {0, Then::ended};
    return moved(count, places);
  }
  Moved write(std::span<const iovec> pieces) override {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces.data());
    message.msg_iovlen = pieces.size();
    return moved(::sendmsg(socket_, &message, MSG_NOSIGNAL | MSG_DONTWAIT), pieces);
  }
  void end() override { (void)::shutdown(socket_, SHUT_WR); }
  [[nodiscard]] std::string why() const override {
    return std::generic_category().message(error_);
  }

 private:
  // What moves less than was given has emptied, or filled, the socket.
  Moved moved(ssize_t count, std::span<const iovec> given) {
    if (count >= 0) {
      const auto bytes = static_cast<std::size_t>(count);
      return {bytes, bytes == total(given) ? Then::full : Then::empty};
    }
    if (errno == EINTR) return {0, Then::full};
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {0, Then::empty};
    error_ = errno;
    return {0, Then::lost};
  }

  int socket_;
  int error_ = 0;
};

}  // namespace

std::unique_ptr<Transport> plain_transport(int socket) {
  return std::make_unique<PlainTransport>(socket);
}

}  // namespace aloft::channel
