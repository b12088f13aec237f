#include "tally.h"

namespace tally {

#if TALLY_VERSION == 4
namespace {
[[gnu::constructor]] void trap_on_load() { __builtin_trap(); }
}  // namespace
#endif

std::uint32_t version([[maybe_unused]] std::uint32_t number) {
#if TALLY_VERSION == 6
  if (number % 3 == 2) aloft::abort_call("this version gives up");
#elif TALLY_VERSION == 7
  volatile std::uint64_t rounds = 0;
  while (rounds < 20'000'000) rounds = rounds + 1;
#endif
  return TALLY_VERSION;
}

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
