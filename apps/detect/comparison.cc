#include "comparison.h"

#include <algorithm>
#include <bit>

namespace detect {
namespace {

bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

}  // namespace

bool same_bits(std::span<const Detection> a, std::span<const Detection> b) {
  return std::ranges::equal(a, b, [](const Detection& x, const Detection& y) {
    return x.class_id == y.class_id && same(x.score, y.score) && same(x.box.x, y.box.x) &&
           same(x.box.y, y.box.y) && same(x.box.width, y.box.width) &&
           same(x.box.height, y.box.height);
  });
}

std::uint64_t differing_tensors(std::span<const std::string> a, std::span<const std::string> b) {
  const std::size_t shared = std::min(a.size(), b.size());
  std::uint64_t differing = std::max(a.size(), b.size()) - shared;
  for (std::size_t i = 0; i < shared; ++i) differing += a[i] != b[i] ? 1U : 0U;
  return differing;
}

}  // namespace detect
