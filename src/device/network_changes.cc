#include "device/network_changes.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>

namespace aloft::device {

Result<std::unique_ptr<NetworkChanges>> NetworkChanges::watch(std::function<void()> on_change) {
  const auto failed = [](const char* what) {
    return fail(Errc::refused, std::string("changes of the network are not seen: ") + what + ": " +
                                   std::strerror(errno));
  };
  Descriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!socket) return failed("socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups =
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  WakeUp stop;
  if (!stop) return failed("eventfd");
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return failed("bind");
  return std::unique_ptr<NetworkChanges>(
      new NetworkChanges(std::move(socket), std::move(stop), std::move(on_change)));
}

NetworkChanges::NetworkChanges(Descriptor socket, WakeUp stop, std::function<void()> on_change)
    : socket_(std::move(socket)),
      stop_(std::move(stop)),
      on_change_(std::move(on_change)),
      thread_([this] { read(); }) {}

NetworkChanges::~NetworkChanges() {
  stop_.wake();
  thread_.join();
}

void NetworkChanges::read() {
  std::array<pollfd, 2> waiting{{{socket_.get(), POLLIN, 0}, {stop_.descriptor(), POLLIN, 0}}};
  for (;;) {
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return;
    if (waiting[1].revents != 0) return;
    if (waiting[0].revents == 0) continue;
    // What changed is not looked at; and where messages were lost (ENOBUFS), something did.
    std::array<char, 8192> bytes;
    while (::recv(socket_.get(), bytes.data(), bytes.size(), 0) > 0 || errno == ENOBUFS) errno = 0;
    on_change_();
  }
}

}  // namespace aloft::device
