// What a link reads from and writes to: a connected socket as it is, or one with TLS on it.
//
// Nothing here waits. One thread at a time reads, and one at a time writes; both may do so at the
// same time.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <sys/uio.h>

#include "base/digest.h"
#include "channel/tls.h"
#include <aloft/result.h>

namespace aloft::channel {

class Transport {
 public:
  enum class Then {
    full,   // all that was given was used: there may be more
    empty,  // nothing more can be moved before the socket is readable, or writable
    ended,  // the peer sends no more (reading)
    lost,   // the connection is; why() says how
  };
  struct Moved {
    std::size_t bytes = 0;
    Then then = Then::full;
  };

  virtual ~Transport() = default;
  [[nodiscard]] virtual Moved read(std::span<const iovec> places) = 0;
  // What it took is out of the caller's buffers, though not all of it need be with the kernel:
  // flush() tells.
  [[nodiscard]] virtual Moved write(std::span<const iovec> pieces) = 0;
  // `full` when the kernel has all that was written.
  [[nodiscard]] virtual Then flush() { return Then::full; }
  // After this nothing is written; the peer sees an end, and no cut.
  virtual void end() = 0;
  [[nodiscard]] virtual std::string why() const = 0;
};

// `socket` is borrowed, connected, and does not block.
[[nodiscard]] std::unique_ptr<Transport> plain_transport(int socket);

// TLS, beginning with its handshake.
class TlsTransport : public Transport {
 public:
  enum class Step { done, want_read, want_write, failed };
  [[nodiscard]] virtual Step handshake() = 0;       // again when there is what it wanted
  [[nodiscard]] virtual Error failure() const = 0;  // of the handshake, or of reading
  // Of the certificate that the peer showed (PeerInfo::key); after the handshake.
  [[nodiscard]] virtual std::optional<Digest> peer_key() const = 0;
};
// A peer without `host` is not asked who it is: the side that listens.
[[nodiscard]] std::unique_ptr<TlsTransport> tls_transport(int socket, const TlsContext& context,
                                                          const std::string& host);

}  // namespace aloft::channel
