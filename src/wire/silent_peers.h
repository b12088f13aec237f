// Peers that connect and say nothing, at sockets that listen for protocols in which the one who
// connects speaks first: what they cost, they cost the kernel.
#pragma once

#include <chrono>
#include <functional>

#include "base/descriptor.h"

namespace aloft::wire {

// Before listen(). The kernel keeps a connection to itself until its peer has said something, or
// for about a second. A kernel that cannot hands it over at once, which is as right, and dearer.
void keep_silent_peers_out(int socket);

// Accepts those who wait at `listener`, a socket that listens and does not block, and gives `take`
// the connection of each, which does not block either; those who went without a word are dropped.
// Returns how long to leave the next ones waiting: a while after peers without a word, so that they
// take little of the processor, and where the process is out of descriptors.
[[nodiscard]] std::chrono::milliseconds take_peers(int listener,
                                                   const std::function<void(Descriptor)>& take);

}  // namespace aloft::wire
