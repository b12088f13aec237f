#include "host/process/listening_socket.h"

#include <memory>
#include <string>
#include <utility>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

namespace aloft::host {
namespace {

constexpr int kBacklog = 128;

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Result<AddressList> resolve(const net::Address& address) {
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int status =
      ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &wanted, &found);
  if (status != 0)
    return fail(Errc::unreachable, address.to_string() + ": " + ::gai_strerror(status));
  return AddressList(found, &::freeaddrinfo);
}

bool is_loopback(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return (ntohl(v4.sin_addr.s_addr) >> 24U) == IN_LOOPBACKNET;
  }
  if (address.sa_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) != 0;
  }
  return false;
}

net::Address name_of(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
  char host[INET6_ADDRSTRLEN] = "";
  char port[8] = "";
  ::getnameinfo(reinterpret_cast<const sockaddr*>(&storage), size, host, sizeof host, port,
                sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
  return {host, static_cast<std::uint16_t>(std::strtoul(port, nullptr, 10))};
}

}  // namespace

Result<ListeningSocket::Reach> ListeningSocket::reach_of(const net::Address& address) {
  const auto found = resolve(address);
  if (!found) return std::unexpected(found.error());
  return is_loopback(*(*found)->ai_addr) ? Reach::loopback : Reach::beyond;
}

Result<ListeningSocket> ListeningSocket::open(const net::Address& address) {
  const auto found = resolve(address);
  if (!found) return std::unexpected(found.error());
  const addrinfo& first = **found;
  const int fd = ::socket(first.ai_family, SOCK_STREAM | SOCK_CLOEXEC, first.ai_protocol);
  if (fd < 0) return fail(Errc::unreachable, address.to_string() + ": " + ::strerror(errno));
  ListeningSocket socket(fd, address);
  // An edge that is started again takes its port over from connections that are still closing.
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd, first.ai_addr, first.ai_addrlen) != 0 || ::listen(fd, kBacklog) != 0) {
    return fail(Errc::unreachable,
                "cannot listen on " + address.to_string() + ": " + ::strerror(errno));
  }
  socket.address_ = name_of(fd);
  return socket;
}

ListeningSocket::ListeningSocket(int fd, net::Address address)
    : fd_(fd), address_(std::move(address)) {}

ListeningSocket::ListeningSocket(ListeningSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), address_(std::move(other.address_)) {}

ListeningSocket& ListeningSocket::operator=(ListeningSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(address_, other.address_);
  return *this;
}

ListeningSocket::~ListeningSocket() {
  if (fd_ >= 0) ::close(fd_);
}

int ListeningSocket::duplicate() const { return ::fcntl(fd_, F_DUPFD_CLOEXEC, 0); }

}  // namespace aloft::host
