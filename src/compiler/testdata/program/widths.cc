#include <cstdint>
#include <span>

namespace demo {

std::int_fast16_t add(std::int_fast16_t one, std::int_fast16_t other) { return one + other; }

std::uint8_t brightest(std::span<const std::uint8_t> pixels) {
  std::uint8_t found = 0;
  for (const std::uint8_t pixel : pixels) found = pixel > found ? pixel : found;
  return found;
}

}  // namespace demo
