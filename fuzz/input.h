// What the fuzz targets share: the bytes that libFuzzer gives, and what to do when one of them does
// not hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <span>
#include <string_view>

namespace aloft::fuzz {

using Input = std::span<const std::byte>;

// The first byte, which then is not there any more; 0 where there is none. It chooses how the
// target goes about the rest.
inline unsigned take_byte(Input& input) {
  if (input.empty()) return 0;
  const auto byte = std::to_integer<unsigned>(input.front());
  input = input.subspan(1);
  return byte;
}

// libFuzzer takes the abort for a finding and keeps the input.
inline void require(bool holds, std::string_view what) {
  if (holds) return;
  std::cerr << "does not hold: " << what << '\n';
  std::abort();
}

}  // namespace aloft::fuzz
