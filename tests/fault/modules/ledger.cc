#include "ledger.h"

#include <cstddef>

namespace ledger {
namespace {

constexpr std::size_t kAccounts = 8192;

// Mixes all bits (the finisher of SplitMix64).
std::uint64_t mixed(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15U;
  value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9U;
  value = (value ^ (value >> 27U)) * 0x94D049BB133111EBU;
  return value ^ (value >> 31U);
}

}  // namespace

Receipt Ledger::record(std::uint64_t number, std::uint32_t amount) {
  if (accounts_.empty()) accounts_.resize(kAccounts);
  ++count_;
  chain_ = mixed(chain_ ^ mixed(number) ^ amount);
  accounts_[chain_ % kAccounts] += amount;
  return {.number = number, .count = count_, .chain = chain_};
}

std::uint64_t Ledger::audit() const {
  std::uint64_t hash = mixed(count_ ^ mixed(chain_));
  for (const std::uint32_t account : accounts_) hash = mixed(hash ^ account);
  return hash;
}

Stamp stamp(std::uint64_t number) { return {.number = number, .seal = mixed(~number)}; }

Stamp toil(std::uint64_t number, std::uint32_t rounds) {
  std::uint64_t seal = number;
  for (std::uint32_t i = 0; i < rounds; ++i) seal = mixed(seal);
  return {.number = number, .seal = seal};
}

}  // namespace ledger
