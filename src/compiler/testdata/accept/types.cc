#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include <aloft/image.h>
#include <aloft/offload.h>

namespace demo {

enum class Colour : std::int8_t { red, green };
enum Plain { kOne, kTwo };

struct Point {
  float x = 0;
  float y = 0;
  [[nodiscard]] float sum() const { return x + y; }
  bool operator==(const Point&) const = default;
};

template <class T>
struct Pair {
  T first;
  T second;
};

struct Everything {
  enum class Kind : std::uint16_t { small, large };
  struct Part {
    std::string name;
    Kind kind = Kind::small;
  };
  static constexpr int kVersion = 1;
  Point point;
  Pair<double> pair;
  std::vector<Part> parts;
  std::optional<Colour> colour;
  std::array<std::uint8_t, 4> bytes{};
};
struct Nothing {};

using Names = std::unordered_map<std::string, std::vector<std::uint32_t>>;

ALOFT_OFFLOAD bool numbers(bool, char, signed char, unsigned char, short, unsigned short, int, unsigned, long,
                           unsigned long, long long, unsigned long long, float, double, std::size_t, std::ptrdiff_t) {
  return true;
}
ALOFT_OFFLOAD std::int64_t fixed(std::int8_t, std::uint16_t, std::int32_t, std::uint64_t, std::intptr_t) { return 0; }
ALOFT_OFFLOAD Colour enumerations(Plain, Colour colour, std::byte) { return colour; }
ALOFT_OFFLOAD std::string texts(std::string, const std::string&, std::string_view text) { return std::string(text); }
ALOFT_OFFLOAD std::vector<Point> sequences(std::span<const float>, std::span<const Point> points, std::vector<bool>,
                                           const std::vector<std::vector<std::size_t>>&, std::array<Point, 2>,
                                           std::vector<std::byte>) {
  return {points.begin(), points.end()};
}
ALOFT_OFFLOAD std::tuple<int, std::string> compounds(std::optional<Point>, const std::pair<int, char>&, std::tuple<>,
                                                     std::map<std::string, int>, const Names&) {
  return {1, "one"};
}
ALOFT_OFFLOAD Everything aggregates(const Everything& everything, Nothing, Pair<Point>) { return everything; }
ALOFT_OFFLOAD aloft::Image images(const aloft::Image& image, std::vector<aloft::Image>) { return image; }
ALOFT_OFFLOAD int nothing() { return 1; }

}  // namespace demo
