#pragma once

#include <span>
#include <vector>

namespace demo {

std::vector<int> blur(std::span<const int> row);
double mean(const std::vector<double>& values) noexcept;
int bits(unsigned value);
void scale(std::vector<double>& values, double factor);

class Counter {
 public:
  int next();

 private:
  int count_ = 0;
};

template <class T>
T twice(T value) {
  return value + value;
}

inline int halved(int value) { return value / 2; }

}  // namespace demo
