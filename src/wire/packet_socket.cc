#include "wire/packet_socket.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <sys/socket.h>
#include <unistd.h>

namespace aloft::wire {
namespace {

// Room for more than one descriptor, so that further ones arrive here to be closed.
constexpr std::size_t kDescriptors = 4;

struct Control {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kDescriptors)> bytes{};
};

}  // namespace

Result<SocketPair> make_packet_sockets() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return fail(Errc::internal, std::string("socketpair: ") + std::strerror(errno));
  return SocketPair{Descriptor(ends[0]), Descriptor(ends[1])};
}

Result<void> send_packet(int socket, std::span<const std::byte> packet, int descriptor) {
  iovec part{const_cast<std::byte*>(packet.data()), packet.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  Control control;
  if (descriptor >= 0) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_SPACE(sizeof descriptor);
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent == static_cast<ssize_t>(packet.size())) return {};
  const bool full = sent < 0 && (errno == EAGAIN || errno == ENOBUFS);
  return fail(full ? Errc::overloaded : Errc::unreachable,
              std::string("the other end of the line: ") + std::strerror(errno));
}

Result<std::optional<Packet>> receive_packet(int socket, std::span<std::byte> buffer, Wait wait) {
  iovec part{buffer.data(), buffer.size()};
  Control control;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  ssize_t got = 0;
  do {
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | (wait == Wait::no ? MSG_DONTWAIT : 0));
  } while (got < 0 && errno == EINTR);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::nullopt;
  if (got < 0) return fail(Errc::unreachable, "the other end of the line is gone");

  Packet packet{.size = static_cast<std::size_t>(got), .descriptor = {}};
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr;
       head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
      Descriptor owned(fd);
      if (!packet.descriptor) packet.descriptor = std::move(owned);
    }
  }
  if ((message.msg_flags & MSG_TRUNC) != 0)
    return fail(Errc::protocol, "a packet that is larger than any may be");
  // The end of the line, or a packet of nothing, which nobody here sends.
  if (got == 0) return fail(Errc::unreachable, "the other end of the line is gone");
  return packet;
}

}  // namespace aloft::wire
