#include "filter.h"

#include <algorithm>

#include "weights.h"

namespace demo {

namespace {

int clamped(int value) { return std::clamp(value, 0, 255); }

}  // namespace

std::vector<int> blur(std::span<const int> row) {
  std::vector<int> out;
  for (std::size_t i = 1; i + 1 < row.size(); ++i)
    out.push_back(clamped((row[i - 1] + row[i] * weight(1) + row[i + 1]) / 4));
  return out;
}

double mean(const std::vector<double>& values) noexcept {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

int bits(unsigned value) { return __builtin_popcount(value); }

void scale(std::vector<double>& values, double factor) {
  for (double& value : values) value *= factor;
}

int Counter::next() { return ++count_; }

}  // namespace demo
