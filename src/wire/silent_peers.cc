#include "wire/silent_peers.h"

#include <cerrno>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace aloft::wire {
namespace {

using namespace std::chrono_literals;

// Where the process is out of descriptors, the next connection is tried after this.
constexpr auto kPause = 100ms;
// Who comes and goes without a word, again and again: after one of those, or this many that were
// there at once, all others wait for so long.
constexpr int kMaxGone = 32;
constexpr auto kGonePause = 10ms;

bool went_without_a_word(int socket) {
  char byte{};
  const auto count = ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return count == 0 || (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

}  // namespace

void keep_silent_peers_out(int socket) {
  constexpr int kSeconds = 1;
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_DEFER_ACCEPT, &kSeconds, sizeof kSeconds);
}

std::chrono::milliseconds take_peers(int listener, const std::function<void(Descriptor)>& take) {
  int gone = 0;
  while (gone < kMaxGone) {
    Descriptor peer(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!peer && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (!peer && errno != EAGAIN && errno != EWOULDBLOCK) return kPause;
    if (!peer) break;
    if (went_without_a_word(peer.get())) {
      ++gone;
    } else {
      take(std::move(peer));
    }
  }
  return gone > 0 ? kGonePause : 0ms;
}

}  // namespace aloft::wire
