// The names of clusters, hosts, tenants and whoever else has one: they stand in certificates,
// tickets, file names and keys of the store, so that they are the same everywhere and need no
// escaping anywhere.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace aloft::identity {

inline constexpr std::size_t kMaxName = 63;  // bytes; a label of DNS has no more

// 1 to 63 of a-z, 0-9 and '-', not '-' at either end.
[[nodiscard]] constexpr bool is_name(std::string_view text) {
  if (text.empty() || text.size() > kMaxName) return false;
  if (text.front() == '-' || text.back() == '-') return false;
  return std::ranges::all_of(
      text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

}  // namespace aloft::identity
