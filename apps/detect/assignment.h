// Which row gets which column so that the sum of costs is the smallest: the Hungarian algorithm
// with shortest augmenting paths, as Jonker and Volgenant wrote it.
//
// Among equally cheap assignments there is one answer: the lexicographically smallest one (the
// first row has the smallest column that it can have, then the second row, ...; none counts as
// larger than all columns). So the answer depends on the costs alone, and not on how it is found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace detect {

inline constexpr std::int64_t kInadmissible = std::numeric_limits<std::int64_t>::max();
inline constexpr std::int32_t kUnassigned = -1;

// Costs are whole numbers, at most 2^40: sums of them are exact.
struct Costs {
  Costs(std::size_t row_count, std::size_t column_count)
      : rows(row_count), columns(column_count), values(row_count * column_count, kInadmissible) {}

  [[nodiscard]] std::int64_t& at(std::size_t row, std::size_t column) {
    return values[row * columns + column];
  }
  [[nodiscard]] std::int64_t at(std::size_t row, std::size_t column) const {
    return values[row * columns + column];
  }

  std::size_t rows;
  std::size_t columns;
  std::vector<std::int64_t> values;
};

// For each row its column, or kUnassigned, which costs `unassigned`; a column without a row costs
// nothing. No row gets a column that is inadmissible for it.
[[nodiscard]] std::vector<std::int32_t> assign(const Costs& costs, std::int64_t unassigned);

}  // namespace detect
