// One packet between two processes of a host, with a descriptor beside it where one is to be handed
// over: what lines between a daemon and its processes are made of.
//
// The sockets are SOCK_SEQPACKET of AF_UNIX: a packet comes whole or not at all, and the end of the
// other process is noticed. Neither function raises SIGPIPE.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "base/descriptor.h"
#include <aloft/result.h>

namespace aloft::wire {

using aloft::Descriptor;

struct SocketPair {
  Descriptor one, other;
};
// Both are closed by exec. Errors: internal.
[[nodiscard]] Result<SocketPair> make_packet_sockets();

// Never waits. `descriptor` (-1: none) stays the caller's. Errors: overloaded (the other end does
// not read), unreachable (it is gone, or the packet is too large for the socket).
[[nodiscard]] Result<void> send_packet(int socket, std::span<const std::byte> packet,
                                       int descriptor = -1);

enum class Wait { yes, no };
struct Packet {
  std::size_t size = 0;  // of it in the buffer
  Descriptor descriptor;
};
// Reads the next packet into `buffer`. Nothing: none is there (Wait::no). A second descriptor, or
// one beside a packet that is none, is closed. Errors: unreachable (the other end is gone),
// protocol (empty, or larger than the buffer).
[[nodiscard]] Result<std::optional<Packet>> receive_packet(int socket, std::span<std::byte> buffer,
                                                           Wait wait);

}  // namespace aloft::wire
