#include "calls.h"

#include <cstdio>
#include <numeric>

#include "helper.h"

namespace calls {

int call_before_definition(int x) { return add(x, 1); }

int add(int a, int b) { return a + b; }

int call_in_same_file(int x) { return add(x) + defined_only_here(x); }

ALOFT_OFFLOAD int defined_only_here(int x) { return x * 2; }

int overloaded(int x) { return x; }
int overloaded(std::string_view x) { return static_cast<int>(x.size()); }

int sum(std::span<const std::int32_t> values) {
  return std::accumulate(values.begin(), values.end(), 0, [](int a, int b) { return add(a, b); });
}

int factorial(int n) { return n < 2 ? 1 : n * factorial(n - 1); }

std::map<std::string, Item> regroup(std::vector<Item> items, std::pair<float, std::uint64_t> factors) {
  std::map<std::string, Item> groups;
  for (Item& item : items) {
    for (Point& point : item.points) point = scaled(point, factors.first);
    item.count *= static_cast<std::size_t>(factors.second);
    std::string name = item.name;
    groups.insert_or_assign(std::move(name), std::move(item));
  }
  return groups;
}

std::vector<std::uint64_t> measure(const aloft::Image& image, std::span<const double> numbers,
                                   const std::vector<std::size_t>& sizes) {
  std::uint64_t pixels = 0;
  for (const std::uint8_t pixel : image.pixels()) pixels += pixel;
  const double total = std::accumulate(numbers.begin(), numbers.end(), 0.0);
  return {image.width(), image.height(), pixels, static_cast<std::uint64_t>(total),
          std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0})};
}

aloft::Image inverted(const aloft::Image& image) {
  aloft::Image out(image.width(), image.height(), image.format());
  const auto pixels = out.mutable_pixels();
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(255 - image.pixels()[i]);
  return out;
}

aloft::Image same(const aloft::Image& image) { return image; }

double dot(std::span<const double> a, std::span<const double> b) {
  double total = 0;
  for (std::size_t i = 0; i < a.size(); ++i) total += a[i] * b[i];
  return total;
}

int gives_up(int x) {
  if (x > 0) aloft::abort_call("no use: " + std::to_string(x));
  return x;
}

int divides(int a, int b) {
  return a / b;  // where it traps
}

int out_of_range(int index) {
  const std::vector<int> values = {1, 2, 3};
  return values.at(static_cast<std::size_t>(index));
}

int overflows_the_stack(int depth) {
  volatile char frame[4096];
  frame[depth % 4096] = static_cast<char>(depth);
  return depth == 0 ? frame[0] : overflows_the_stack(depth - 1) + frame[depth % 4096];
}

int says(std::string_view text) {
  std::printf("%.*s\n", static_cast<int>(text.size()), text.data());
  return std::fflush(stdout);
}

}  // namespace calls
