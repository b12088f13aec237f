#include "device/network_changes.h"

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace aloft::device {

Result<std::unique_ptr<NetworkChanges>> NetworkChanges::watch(std::function<void()> on_change) {
  const auto failed = [](const char* what) {
    return fail(Errc::refused, std::string("changes of the network are not seen: ") + what + ": " +
                                   std::strerror(errno));
  };
  const int socket = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (socket < 0) return failed("socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups =
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  const int stop = ::eventfd(0, EFD_CLOEXEC);
  if (stop < 0 ||
      ::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    auto error = failed(stop < 0 ? "eventfd" : "bind");
    ::close(socket);
    if (stop >= 0) ::close(stop);
    return error;
  }
  return std::unique_ptr<NetworkChanges>(new NetworkChanges(socket, stop, std::move(on_change)));
}

NetworkChanges::NetworkChanges(int socket, int stop, std::function<void()> on_change)
    : socket_(socket), stop_(stop), on_change_(std::move(on_change)), thread_([this] { read(); }) {}

NetworkChanges::~NetworkChanges() {
  const std::uint64_t one = 1;
  (void)!::write(stop_, &one, sizeof one);
  thread_.join();
  ::close(socket_);
  ::close(stop_);
}

void NetworkChanges::read() {
  std::array<pollfd, 2> waiting{{{socket_, POLLIN, 0}, {stop_, POLLIN, 0}}};
  for (;;) {
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return;
    if (waiting[1].revents != 0) return;
    if (waiting[0].revents == 0) continue;
    // What changed is not looked at; and where messages were lost (ENOBUFS), something did.
    std::array<char, 8192> bytes;
    while (::recv(socket_, bytes.data(), bytes.size(), 0) > 0 || errno == ENOBUFS) errno = 0;
    on_change_();
  }
}

}  // namespace aloft::device
