// A library that knows nothing of aloft.
#pragma once

#include <vector>

namespace filters {

std::vector<double> fir(const std::vector<double>& signal, const std::vector<double>& taps);

}  // namespace filters
