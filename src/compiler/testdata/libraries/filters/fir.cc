#include "fir.h"

#include <cstddef>

#include "checksum.h"

namespace filters {

namespace {

int calls = 0;  // a library's own business: it is trusted

}  // namespace

std::vector<double> fir(const std::vector<double>& signal, const std::vector<double>& taps) {
  ++calls;
  std::vector<double> out(signal.size());
  for (std::size_t i = 0; i < signal.size(); ++i) {
    for (std::size_t k = 0; k < taps.size() && k <= i; ++k) out[i] += taps[k] * signal[i - k];
  }
  return out;
}

}  // namespace filters
