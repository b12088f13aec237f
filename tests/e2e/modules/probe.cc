// Functions that tests call at an edge: every type there and back, something to compute, something
// to say.
#include "probe.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <aloft/image.h>
#include <aloft/offload.h>

namespace probe {

ALOFT_OFFLOAD Everything echo(const Everything& everything) { return everything; }

ALOFT_OFFLOAD std::string join(std::string_view first, const std::string& second) {
  return std::string(first) + second;
}

ALOFT_OFFLOAD std::uint64_t sum(const aloft::Image& image) {
  std::uint64_t total = 0;
  for (const std::uint8_t value : image.pixels()) total += value;
  return total;
}

ALOFT_OFFLOAD std::vector<std::uint8_t> pick(const aloft::Image& image) {
  std::vector<std::uint8_t> picked;
  for (std::size_t i = 0; i < image.pixels().size(); i += 61) picked.push_back(image.pixels()[i]);
  return picked;
}

ALOFT_OFFLOAD aloft::Image invert(const aloft::Image& image) {
  aloft::Image inverted(image.width(), image.height(), image.format());
  const auto from = image.pixels();
  const auto to = inverted.mutable_pixels();
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = static_cast<std::uint8_t>(255 - from[i]);
  return inverted;
}

ALOFT_OFFLOAD double dot(std::span<const double> a, std::span<const double> b) {
  double total = 0;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) total += a[i] * b[i];
  return total;
}

ALOFT_OFFLOAD int speak(int lines) {
  for (int i = 0; i < lines; ++i) std::printf("line %d of %d\n", i, lines);
  std::fprintf(stderr, "and one to stderr\n");
  std::fflush(stdout);
  return lines;
}

// Computes for a while: about a millisecond for each million rounds.
ALOFT_OFFLOAD std::uint32_t grind(std::uint32_t rounds) {
  std::uint32_t state = 1;
  for (std::uint32_t i = 0; i < rounds; ++i) state = state * 1664525U + 1013904223U;
  return state;
}

}  // namespace probe
