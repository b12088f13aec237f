// The guest of bench/call_moves.cc.
#include "megabyte.h"

#include <aloft/offload.h>

namespace megabyte {

ALOFT_OFFLOAD std::uint64_t Megabyte::touch() {
  // A large odd stride: the bytes of subsequent calls lie in different blocks.
  bytes_[calls_ * 65'537 % bytes_.size()] += 1;
  return calls_++;
}

ALOFT_OFFLOAD std::uint64_t next(std::uint64_t value) { return value + 1; }

}  // namespace megabyte
