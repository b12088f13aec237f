#include "tally.h"

namespace tally {

#if TALLY_VERSION == 4
namespace {
[[gnu::constructor]] void trap_on_load() { __builtin_trap(); }
}  // namespace
#endif

std::uint32_t version(std::uint32_t) { return TALLY_VERSION; }

Spun spin(std::uint64_t rounds) {
  Spun spun{.version = TALLY_VERSION, .hash = rounds};
  for (std::uint64_t i = 0; i < rounds; ++i) {
    spun.hash = (spun.hash ^ (spun.hash >> 31U)) * 0x9E3779B97F4A7C15U;
  }
  return spun;
}

#if TALLY_VERSION == 5
Tally::Tally() { aloft::abort_call("no tally can be made"); }
#endif

Entry Tally::add(std::uint64_t amount) {
  ++count_;
  sum_ += amount;
#if TALLY_VERSION == 3
  if (amount > largest_) largest_ = amount;
#endif
  return {.version = TALLY_VERSION, .count = count_, .sum = sum_};
}

}  // namespace tally
