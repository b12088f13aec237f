// Peers that connect and say nothing, at sockets that listen for protocols in which the one who
// connects speaks first: what they cost, they cost the kernel.
#pragma once

namespace aloft::wire {

// Before listen(). The kernel keeps a connection to itself until its peer has said something, or
// for about a second. A kernel that cannot hands it over at once, which is as right, and dearer.
void keep_silent_peers_out(int socket);

// Whether the peer of this connection, from which nothing has been read, went without a word.
[[nodiscard]] bool went_without_a_word(int socket);

}  // namespace aloft::wire
