// What the kernel says of a TCP connection. Apart from all else because the kernel's own header,
// which alone names all fields, cannot be included beside that of the C library.
#pragma once

#include <cstdint>
#include <optional>

#include "channel/pace.h"

namespace aloft::channel {

// Segments of a connection, ever.
struct SegmentCount {
  std::uint32_t sent = 0;    // wraps
  std::uint32_t resent = 0;  // of these; wraps
};
[[nodiscard]] std::optional<SegmentCount> read_segments(int socket);

// Nothing where the kernel does not say (it is older than 4.9).
[[nodiscard]] std::optional<Pace::Reading> read_gauge(int socket);

}  // namespace aloft::channel
