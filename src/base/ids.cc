#include "base/ids.h"

#include <cstdlib>
#include <string_view>
#include <vector>

#include <openssl/rand.h>

namespace aloft {

std::string to_hex(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::byte byte : bytes) {
    text.push_back(kDigits[std::to_integer<std::size_t>(byte >> 4)]);
    text.push_back(kDigits[std::to_integer<std::size_t>(byte & std::byte{0x0f})]);
  }
  return text;
}

std::string random_hex(std::size_t bytes) {
  std::vector<std::byte> random(bytes);
  // An id that is not random is somebody else's: better none.
  if (::RAND_bytes(reinterpret_cast<unsigned char*>(random.data()), static_cast<int>(bytes)) != 1)
    std::abort();
  return to_hex(random);
}

}  // namespace aloft
