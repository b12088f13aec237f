#include "ledger.h"

namespace ledger {

ALOFT_OFFLOAD std::uint64_t Ledger::add(std::uint64_t amount) { return sum_ += amount; }

ALOFT_OFFLOAD std::int32_t half(std::int32_t n) {
  if (n % 2 != 0) aloft::abort_call("it is odd");
  return n / 2;
}

}  // namespace ledger
