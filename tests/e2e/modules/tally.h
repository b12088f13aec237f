// A module of which there are several versions, TALLY_VERSION:
//   1  the one that the program is built with
//   2  another one that can take its place
//   3  one whose object has another state
//   4  one that traps as it is loaded
//   5  one whose object cannot be made
//   6  one that traps in every third call, by their numbers
//   7  one that takes its time
#pragma once

#include <cstdint>

#include <aloft/object.h>
#include <aloft/offload.h>

#if !defined(TALLY_VERSION)
#define TALLY_VERSION 1
#endif

namespace tally {

// Which version this is.
ALOFT_OFFLOAD std::uint32_t version(std::uint32_t number);

struct Spun {
  std::uint32_t version = 0;
  std::uint64_t hash = 0;
};
// Takes its time.
ALOFT_OFFLOAD Spun spin(std::uint64_t rounds);

// The answer to an entry: depends on all before it, and names the version that made it.
struct Entry {
  std::uint32_t version = 0;
  std::uint64_t count = 0;
  std::uint64_t sum = 0;
};

class ALOFT_OFFLOAD_OBJECT Tally {
 public:
#if TALLY_VERSION == 5
  Tally();
#endif
  ALOFT_OFFLOAD Entry add(std::uint64_t amount);

 private:
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
#if TALLY_VERSION == 3
  std::uint64_t largest_ = 0;
  ALOFT_STATE(count_, sum_, largest_)
#else
  ALOFT_STATE(count_, sum_)
#endif
};

}  // namespace tally
