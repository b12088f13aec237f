#include "wire/silent_peers.h"

#include <cerrno>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace aloft::wire {

void keep_silent_peers_out(int socket) {
  constexpr int kSeconds = 1;
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_DEFER_ACCEPT, &kSeconds, sizeof kSeconds);
}

bool went_without_a_word(int socket) {
  char byte{};
  const auto count = ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return count == 0 || (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

}  // namespace aloft::wire
