// A module that is called from everywhere: see calls_test.cc and guest_test.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <aloft/image.h>
#include <aloft/offload.h>

namespace calls {

enum class Kind : std::uint8_t { plain, fancy };

struct Point {
  float x = 0;
  float y = 0;
  bool operator==(const Point&) const = default;
};

struct Item {
  std::string name;
  Kind kind = Kind::plain;
  std::vector<Point> points;
  std::optional<double> weight;
  std::size_t count = 0;
  bool operator==(const Item&) const = default;
};

ALOFT_OFFLOAD int add(int a, int b = 10);
ALOFT_OFFLOAD int overloaded(int x);
ALOFT_OFFLOAD int overloaded(std::string_view x);
// Calls add(), which stays in place there.
ALOFT_OFFLOAD int sum(std::span<const std::int32_t> values);
ALOFT_OFFLOAD int factorial(int n);
ALOFT_OFFLOAD std::map<std::string, Item> regroup(std::vector<Item> items, std::pair<float, std::uint64_t> factors);
// The sizes and the sum of what a guest reads in place.
ALOFT_OFFLOAD std::vector<std::uint64_t> measure(const aloft::Image& image, std::span<const double> numbers,
                                                 const std::vector<std::size_t>& sizes);
ALOFT_OFFLOAD aloft::Image inverted(const aloft::Image& image);
ALOFT_OFFLOAD aloft::Image same(const aloft::Image& image);
// The bits of a sum that contraction or reordering would change.
ALOFT_OFFLOAD double dot(std::span<const double> a, std::span<const double> b);

// How the module ends a call that cannot go on.
ALOFT_OFFLOAD int gives_up(int x);
ALOFT_OFFLOAD int divides(int a, int b);
ALOFT_OFFLOAD int out_of_range(int index);
ALOFT_OFFLOAD int overflows_the_stack(int depth);
ALOFT_OFFLOAD int says(std::string_view text);

// Not offloaded.
int call_in_same_file(int x);
int call_before_definition(int x);
int call_in_static_library(int x);
int call_in_other_file(int x);

}  // namespace calls
