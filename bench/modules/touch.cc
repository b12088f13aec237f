// The guest of bench/call_bench.cc.
#include "touch.h"

#include <aloft/offload.h>

namespace touch {

ALOFT_OFFLOAD std::vector<std::uint8_t> call(std::span<const std::uint8_t> data) {
  std::uint8_t sum = 0;
  const volatile std::uint8_t* const bytes = data.data();
  for (std::size_t i = 0; i < data.size(); i += 64) sum = static_cast<std::uint8_t>(sum + bytes[i]);
  return std::vector<std::uint8_t>(1024, sum);
}

ALOFT_OFFLOAD std::uint32_t nothing(std::uint32_t value) { return value + 1; }

}  // namespace touch
