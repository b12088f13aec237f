// Several numbers worked on together, in one form for every processor: the compiler's own vector
// types, which become SSE natively and SIMD128 in WebAssembly, instruction for instruction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

namespace detect {

using Bytes8 = std::uint8_t __attribute__((vector_size(8)));
using Shorts4 = std::int16_t __attribute__((vector_size(8)));
using Shorts8 = std::int16_t __attribute__((vector_size(16)));
using Ints4 = std::int32_t __attribute__((vector_size(16)));
using Longs2 = std::int64_t __attribute__((vector_size(16)));
using Floats4 = float __attribute__((vector_size(16)));

template <class Lanes>
inline Lanes load(const void* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

template <class Lanes>
inline void store(const Lanes& lanes, void* to) {
  std::memcpy(to, &lanes, sizeof lanes);
}

// body(0), body(1), ... body(kTimes - 1), without a loop: each round of a loop costs a guest a look
// at its deadline, and the registers that it holds.
template <std::size_t kTimes, class Body>
inline void unrolled(const Body& body) {
  [&]<std::size_t... kIndex>(std::index_sequence<kIndex...>) {
    (body(kIndex), ...);
  }(std::make_index_sequence<kTimes>{});
}

}  // namespace detect
