// Hashes that are the same at every manager, of whatever build: managers agree by them without a
// word.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace aloft::cluster {

// FNV-1a, and a mix of its bits (MurmurHash3's), since its upper ones are poor.
[[nodiscard]] inline std::uint64_t hash_of(std::initializer_list<std::string_view> texts) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const std::string_view text : texts) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  hash ^= hash >> 33U;
  hash *= 0xff51afd7ed558ccdU;
  return hash ^ (hash >> 33U);
}

// Rendezvous hashing: of all managers, the one of the greatest weight has what has this id.
[[nodiscard]] inline std::uint64_t weight(std::string_view manager, std::string_view id) {
  return hash_of({manager, "/", id});
}

}  // namespace aloft::cluster
