#include "checksum.h"

uint32_t checksum(const uint8_t* bytes, size_t size) {
  uint32_t low = 0;
  uint32_t high = 0;
  for (size_t i = 0; i < size; ++i) {
    low = (low + bytes[i]) % 65535;
    high = (high + low) % 65535;
  }
  return high << 16 | low;
}
