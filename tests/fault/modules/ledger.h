// What a test moves about: a ledger, whose every answer depends on all entries before it and on
// their order, and a function without a state.
#pragma once

#include <cstdint>
#include <vector>

#include <aloft/object.h>
#include <aloft/offload.h>

namespace ledger {

// The answer to one entry. An entry that was lost, doubled or overtaken changes all answers after
// it.
struct Receipt {
  std::uint64_t number = 0;  // of the entry, as its sender numbered it
  std::uint64_t count = 0;   // of entries so far, this one included
  std::uint64_t chain = 0;   // a hash over all of them, in order
  friend bool operator==(const Receipt&, const Receipt&) = default;
};

class ALOFT_OFFLOAD_OBJECT Ledger {
 public:
  ALOFT_OFFLOAD Receipt record(std::uint64_t number, std::uint32_t amount);
  // A hash over the whole state.
  ALOFT_OFFLOAD std::uint64_t audit() const;

 private:
  std::uint64_t count_ = 0;
  std::uint64_t chain_ = 0;
  std::vector<std::uint32_t> accounts_;  // 32 KiB: an entry changes one of them
  ALOFT_STATE(count_, chain_, accounts_)
};

struct Stamp {
  std::uint64_t number = 0;
  std::uint64_t seal = 0;
  friend bool operator==(const Stamp&, const Stamp&) = default;
};

ALOFT_OFFLOAD Stamp stamp(std::uint64_t number);

// The same for somebody who works for it: each round is some nanoseconds.
ALOFT_OFFLOAD Stamp toil(std::uint64_t number, std::uint32_t rounds);

}  // namespace ledger
