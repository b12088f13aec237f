#include "assignment.h"

#include <algorithm>

namespace detect {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// Each row has a column of its own besides the real ones, which stands for "none": then every row
// always gets a column. Prices (`row_price_` + `column_price_` <= cost, with equality along the
// assignment; no column's price is above 0, and that of a free one is 0) prove that the assignment
// is the cheapest, and say which others are: those along tight pairs, where equality holds, that
// leave free only columns of price 0.
class Solver {
 public:
  Solver(const Costs& costs, std::int64_t unassigned)
      : costs_(costs),
        unassigned_(unassigned),
        columns_(costs.columns + costs.rows),
        row_price_(costs.rows, 0),
        column_price_(columns_, 0),
        owner_(columns_, kNone),
        column_of_(costs.rows, kNone) {}

  std::vector<std::int32_t> solve() {
    for (std::size_t row = 0; row < costs_.rows; ++row) add(row);
    for (std::size_t row = 0; row < costs_.rows; ++row) settle(row);
    std::vector<std::int32_t> assigned;
    assigned.reserve(costs_.rows);
    for (const std::size_t column : column_of_) {
      assigned.push_back(column < costs_.columns ? static_cast<std::int32_t>(column) : kUnassigned);
    }
    return assigned;
  }

 private:
  [[nodiscard]] std::int64_t cost(std::size_t row, std::size_t column) const {
    if (column < costs_.columns) return costs_.at(row, column);
    return column - costs_.columns == row ? unassigned_ : kInadmissible;
  }

  // Gives `added` a column, along the cheapest path of rows that each take the next one's column.
  void add(std::size_t added) {
    std::vector<std::int64_t> distance(columns_, kInadmissible);
    std::vector<std::size_t> before(columns_, kNone);  // the column whose owner reached this one
    std::vector<bool> done(columns_, false);
    std::vector<std::size_t> reached;  // columns that are done, in order

    std::size_t row = added;
    std::size_t from = kNone;
    std::int64_t travelled = 0;
    while (true) {
      std::size_t nearest = kNone;
      for (std::size_t column = 0; column < columns_; ++column) {
        if (done[column]) continue;
        const std::int64_t price = cost(row, column);
        if (price != kInadmissible) {
          const std::int64_t through = travelled + price - row_price_[row] - column_price_[column];
          if (through < distance[column]) {
            distance[column] = through;
            before[column] = from;
          }
        }
        if (distance[column] != kInadmissible &&
            (nearest == kNone || distance[column] < distance[nearest]))
          nearest = column;
      }
      // There always is one: the row's own column.
      travelled = distance[nearest];
      if (owner_[nearest] == kNone) {
        raise_prices(added, reached, distance, travelled);
        hand_over(added, nearest, before);
        return;
      }
      done[nearest] = true;
      reached.push_back(nearest);
      row = owner_[nearest];
      from = nearest;
    }
  }

  void raise_prices(std::size_t added, const std::vector<std::size_t>& reached,
                    const std::vector<std::int64_t>& distance, std::int64_t travelled) {
    row_price_[added] += travelled;
    for (const std::size_t column : reached) {
      const std::int64_t rise = travelled - distance[column];
      row_price_[owner_[column]] += rise;
      column_price_[column] -= rise;
    }
  }

  void hand_over(std::size_t added, std::size_t column, const std::vector<std::size_t>& before) {
    while (true) {
      const std::size_t previous = before[column];
      const std::size_t row = previous == kNone ? added : owner_[previous];
      owner_[column] = row;
      column_of_[row] = column;
      if (previous == kNone) return;
      column = previous;
    }
  }

  // `row` kNone stands for nobody, to whom all free columns belong.
  [[nodiscard]] bool tight(std::size_t row, std::size_t column) const {
    if (row == kNone) return column_price_[column] == 0;
    const std::int64_t price = cost(row, column);
    return price != kInadmissible && price == row_price_[row] + column_price_[column];
  }

  // Gives `row` the smallest column that it has in any cheapest assignment that agrees with this
  // one in the rows before it.
  void settle(std::size_t row) {
    for (std::size_t column = 0; column < column_of_[row]; ++column) {
      if (tight(row, column) && may_lose(owner_[column], row) && exchange(row, column)) return;
    }
  }
  [[nodiscard]] static bool may_lose(std::size_t owner, std::size_t settling) {
    return owner == kNone || owner > settling;
  }

  // Looks for a circle of tight pairs through `row` and `wanted`: the owner of `wanted` takes
  // another's column, and so on, until one takes the column that `row` has now.
  bool exchange(std::size_t row, std::size_t wanted) {
    const std::size_t given = column_of_[row];
    const std::size_t nobody = costs_.rows;
    const auto place = [&](std::size_t owner) { return owner == kNone ? nobody : owner; };
    std::vector<std::size_t> lost(costs_.rows + 1, kNone);  // by owner: the column taken from it
    std::vector<std::size_t> taker(columns_, kNone);        // place of who would take it
    std::vector<std::size_t> queue{owner_[wanted]};
    lost[place(owner_[wanted])] = wanted;
    for (std::size_t next = 0; next < queue.size(); ++next) {
      const std::size_t owner = queue[next];
      if (tight(owner, given)) {
        taker[given] = place(owner);
        take_along(row, wanted, given, lost, taker);
        return true;
      }
      for (std::size_t column = 0; column < columns_; ++column) {
        const std::size_t other = owner_[column];
        if (other == owner || !may_lose(other, row) || lost[place(other)] != kNone) continue;
        if (!tight(owner, column)) continue;
        lost[place(other)] = column;
        taker[column] = place(owner);
        queue.push_back(other);
      }
    }
    return false;
  }

  void take_along(std::size_t row, std::size_t wanted, std::size_t given,
                  const std::vector<std::size_t>& lost, const std::vector<std::size_t>& taker) {
    std::size_t column = given;
    while (column != wanted) {
      const std::size_t by = taker[column];
      owner_[column] = by == costs_.rows ? kNone : by;
      if (by != costs_.rows) column_of_[by] = column;
      column = lost[by];
    }
    owner_[wanted] = row;
    column_of_[row] = wanted;
  }

  const Costs& costs_;
  const std::int64_t unassigned_;
  const std::size_t columns_;
  std::vector<std::int64_t> row_price_;
  std::vector<std::int64_t> column_price_;
  std::vector<std::size_t> owner_;      // of a column: its row, or kNone
  std::vector<std::size_t> column_of_;  // of a row
};

}  // namespace

std::vector<std::int32_t> assign(const Costs& costs, std::int64_t unassigned) {
  return Solver(costs, unassigned).solve();
}

}  // namespace detect
