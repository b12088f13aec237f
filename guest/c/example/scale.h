// The interface of the example in C: what its application includes, and aloft-cc reads.
#pragma once

#include <span>
#include <vector>

#include <aloft/offload.h>

namespace in_c {

ALOFT_OFFLOAD std::vector<double> scaled(std::span<const double> numbers, double by);

}  // namespace in_c
