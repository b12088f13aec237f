#pragma once

#include <cstdint>
#include <vector>

#include <aloft/object.h>

namespace megabyte {

// An object with 1 MB of state, of which each call changes one byte.
class ALOFT_OFFLOAD_OBJECT Megabyte {
 public:
  // The number of calls before this one.
  ALOFT_OFFLOAD std::uint64_t touch();

 private:
  std::vector<std::uint8_t> bytes_ = std::vector<std::uint8_t>(1'000'000);
  std::uint64_t calls_ = 0;
  ALOFT_STATE(bytes_, calls_)
};

// No state, no work.
std::uint64_t next(std::uint64_t value);

}  // namespace megabyte
