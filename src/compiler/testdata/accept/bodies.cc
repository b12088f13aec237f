#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <numeric>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <vector>

#include <aloft/nn.h>
#include <aloft/offload.h>

namespace {

const aloft::nn::Graph graph{"first"};
constexpr aloft::nn::Graph other("second");
const std::vector<int> kTable = {1, 2, 3};
int counter = 0;

template <class T>
T total(const std::vector<T>& values) {
  return std::accumulate(values.begin(), values.end(), T{});
}

struct Accumulator {
  int sum = 0;
  void add(int x) { sum += x; }
};

}  // namespace

// Not offloaded, and not reached from what is: may do as it likes, but for exceptions.
int count() { return ++counter; }

ALOFT_OFFLOAD double computes(const std::vector<double>& values) {
  static const double kScale = std::sqrt(2.0);
  auto sorted = values;
  std::ranges::sort(sorted);
  std::vector<std::unique_ptr<Accumulator>> parts;
  parts.push_back(std::make_unique<Accumulator>());
  for (const int x : kTable | std::views::transform([](int y) { return y * 2; })) parts[0]->add(x);
  errno = 0;
  std::cout << "seen by the caller's log\n";
  std::fprintf(stderr, "%d\n", parts[0]->sum);
  if (sorted.empty()) aloft::abort_call("no values");
  return kScale * total(sorted) + std::abs(-1.0);
}

ALOFT_OFFLOAD std::optional<int> infers(int x) {
  auto context = graph.context();
  auto second = other.context();
  if (!context || !second) return {};
  return x;
}
