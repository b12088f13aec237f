#include "channel/tcp_gauge.h"

#include <cstddef>

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace aloft::channel {

std::optional<Pace::Reading> read_gauge(int socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  int on_their_way = 0;
  constexpr int kTcp = 6;  // IPPROTO_TCP
  if (::getsockopt(socket, kTcp, TCP_INFO, &info, &size) != 0 ||
      size < offsetof(tcp_info, tcpi_min_rtt) + sizeof info.tcpi_min_rtt ||
      ::ioctl(socket, SIOCOUTQ, &on_their_way) != 0) {
    return std::nullopt;
  }
  return Pace::Reading{.acknowledged = info.tcpi_bytes_acked,
                       .on_their_way = static_cast<std::size_t>(on_their_way),
                       .not_sent = info.tcpi_notsent_bytes,
                       .least_round_trip = std::chrono::microseconds(info.tcpi_min_rtt)};
}

std::optional<SegmentCount> read_segments(int socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  constexpr int kTcp = 6;  // IPPROTO_TCP
  if (::getsockopt(socket, kTcp, TCP_INFO, &info, &size) != 0 ||
      size < offsetof(tcp_info, tcpi_segs_out) + sizeof info.tcpi_segs_out) {
    return std::nullopt;
  }
  return SegmentCount{.sent = info.tcpi_segs_out, .resent = info.tcpi_total_retrans};
}

}  // namespace aloft::channel
