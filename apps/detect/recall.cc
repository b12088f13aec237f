#include "recall.h"

#include <algorithm>
#include <cstddef>

namespace detect {
namespace {

constexpr float kSameObject = 0.5F;  // intersection over union

float overlap(const Box& a, const Box& b) {
  const float across = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
  const float down = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
  if (across <= 0 || down <= 0) return 0;
  const float both = across * down;
  return both / (a.width * a.height + b.width * b.height - both);
}

}  // namespace

Found find_again(const std::vector<Detection>& expected, const std::vector<Detection>& seen) {
  Found result{.found = 0, .of = expected.size()};
  std::vector<bool> taken(seen.size());
  for (const Detection& object : expected) {  // best first
    std::size_t best = seen.size();
    float most = kSameObject;
    for (std::size_t i = 0; i < seen.size(); ++i) {
      if (taken[i] || seen[i].class_id != object.class_id) continue;
      const float with = overlap(object.box, seen[i].box);
      if (with < most) continue;
      most = with;
      best = i;
    }
    if (best == seen.size()) continue;
    taken[best] = true;
    ++result.found;
  }
  return result;
}

double missed(const std::vector<Detection>& with_codec, const std::vector<Detection>& raw) {
  return 1 - find_again(raw, with_codec).recall();
}

}  // namespace detect
