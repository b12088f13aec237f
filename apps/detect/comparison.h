// Whether two places computed the same: detections bit for bit, and what they handed to the
// inference engine.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "detect.h"

namespace detect {

// Every field of every detection has the same bits. (`==` would call two zeros equal, and a NaN
// unequal to itself.)
[[nodiscard]] bool same_bits(std::span<const Detection> a, std::span<const Detection> b);

// How many input tensors differ, by their digests; one that only one place has counts, too.
[[nodiscard]] std::uint64_t differing_tensors(std::span<const std::string> a,
                                              std::span<const std::string> b);

}  // namespace detect
