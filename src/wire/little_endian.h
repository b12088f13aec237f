// Numbers as wire bytes: little endian, at any alignment, whatever the machine's own order is.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <span>

namespace aloft::wire {

// Writes `value` at `offset`; the caller has checked that it fits.
template <std::unsigned_integral T>
inline void store(std::span<std::byte> bytes, std::size_t offset, T value) {
  if constexpr (std::endian::native == std::endian::big) value = std::byteswap(value);
  std::memcpy(bytes.subspan(offset, sizeof value).data(), &value, sizeof value);
}

// Reads the number at `offset`; the caller has checked that it is there.
template <std::unsigned_integral T>
[[nodiscard]] inline T load(std::span<const std::byte> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.subspan(offset, sizeof value).data(), sizeof value);
  if constexpr (std::endian::native == std::endian::big) value = std::byteswap(value);
  return value;
}

}  // namespace aloft::wire
