#pragma once

#include <cstdint>

#include <aloft/object.h>
#include <aloft/offload.h>

namespace ledger {

class ALOFT_OFFLOAD_OBJECT Ledger {
 public:
  ALOFT_OFFLOAD std::uint64_t add(std::uint64_t amount);

 private:
  std::uint64_t sum_ = 0;
  ALOFT_STATE(sum_)
};

// Gives up where `n` is not even.
ALOFT_OFFLOAD std::int32_t half(std::int32_t n);

}  // namespace ledger
