// The probe module's functions; see probe.cc.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <aloft/image.h>

namespace probe {

enum class Colour : std::uint8_t { red = 1, green = 2 };

struct Point {
  float x = 0;
  float y = 0;
  bool operator==(const Point&) const = default;
};

// One of each kind of type that may cross.
struct Everything {
  bool flag = false;
  std::int8_t small = 0;
  std::uint64_t large = 0;
  float single = 0;
  double twice = 0;
  Colour colour = Colour::red;
  std::string text;
  std::vector<std::int32_t> numbers;
  std::vector<std::string> words;
  std::array<Point, 2> corners;
  std::optional<Point> maybe;
  std::pair<int, std::string> pair;
  std::tuple<std::int16_t, double> tuple;
  std::map<std::string, std::uint32_t> counts;
  bool operator==(const Everything&) const = default;
};

Everything echo(const Everything& everything);
std::string join(std::string_view first, const std::string& second);
std::uint64_t sum(const aloft::Image& image);
aloft::Image invert(const aloft::Image& image);
// Each 61st of the image's bytes.
std::vector<std::uint8_t> pick(const aloft::Image& image);
double dot(std::span<const double> a, std::span<const double> b);
int speak(int lines);
std::uint32_t grind(std::uint32_t rounds);

}  // namespace probe
