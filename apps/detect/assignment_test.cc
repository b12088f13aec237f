#include "assignment.h"

#include <algorithm>
#include <numeric>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace detect {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Costs costs(std::size_t columns, const std::vector<std::int64_t>& values) {
  Costs made(values.size() / columns, columns);
  made.values = values;
  return made;
}

// Tries every assignment; "none" counts as the largest column. The first one of the cheapest.
class BruteForce {
 public:
  BruteForce(const Costs& costs, std::int64_t unassigned)
      : costs_(costs), unassigned_(unassigned), taken_(costs.columns, false) {
    try_row(0, 0);
  }
  [[nodiscard]] const std::vector<std::int32_t>& best() const { return best_; }

 private:
  void try_row(std::size_t row, std::int64_t so_far) {
    if (row == costs_.rows) {
      if (!found_ || so_far < cheapest_) {
        found_ = true;
        cheapest_ = so_far;
        best_ = current_;
      }
      return;
    }
    // In rising order, so that the first one found of equal sums is the smallest.
    for (std::size_t column = 0; column < costs_.columns; ++column) {
      if (taken_[column] || costs_.at(row, column) == kInadmissible) continue;
      taken_[column] = true;
      current_.push_back(static_cast<std::int32_t>(column));
      try_row(row + 1, so_far + costs_.at(row, column));
      current_.pop_back();
      taken_[column] = false;
    }
    current_.push_back(kUnassigned);
    try_row(row + 1, so_far + unassigned_);
    current_.pop_back();
  }

  const Costs& costs_;
  const std::int64_t unassigned_;
  std::vector<bool> taken_;
  std::vector<std::int32_t> current_;
  std::vector<std::int32_t> best_;
  std::int64_t cheapest_ = 0;
  bool found_ = false;
};

TEST(Assignment, takes_the_smallest_sum_and_not_the_smallest_cost) {
  EXPECT_THAT(assign(costs(2, {1, 2,  //
                               2, 9}),
                     100),
              ElementsAre(1, 0));
}

TEST(Assignment, of_nothing_is_nothing) {
  EXPECT_THAT(assign(Costs(0, 3), 1), IsEmpty());
  EXPECT_THAT(assign(Costs(2, 0), 1), ElementsAre(kUnassigned, kUnassigned));
}

TEST(Assignment, leaves_out_what_is_inadmissible_or_dearer_than_none) {
  EXPECT_THAT(assign(costs(2, {kInadmissible, 5,  //
                               kInadmissible, 3,  //
                               kInadmissible, kInadmissible}),
                     100),
              ElementsAre(kUnassigned, 1, kUnassigned));
  EXPECT_THAT(assign(costs(1, {11}), 10), ElementsAre(kUnassigned));
  // A column of the same cost is smaller than none.
  EXPECT_THAT(assign(costs(1, {10}), 10), ElementsAre(0));
}

TEST(Assignment, of_equal_sums_is_the_lexicographically_smallest) {
  EXPECT_THAT(assign(costs(3, {1, 1, 1,  //
                               1, 1, 1,  //
                               1, 1, 1}),
                     10),
              ElementsAre(0, 1, 2));
  // Both rows can be given up for the same price: the first one keeps its column.
  EXPECT_THAT(assign(costs(1, {4, 4}), 10), ElementsAre(0, kUnassigned));
}

TEST(Assignment, is_what_trying_all_of_them_finds) {
  std::mt19937 random(20);
  for (int round = 0; round < 4000; ++round) {
    Costs given(random() % 6, random() % 6);
    // Few different costs, so that many sums are equal.
    const std::int64_t highest = round % 2 == 0 ? 4 : 1000;
    for (std::int64_t& value : given.values) {
      value = random() % 5 == 0 ? kInadmissible : static_cast<std::int64_t>(random()) % highest;
    }
    const std::int64_t unassigned = static_cast<std::int64_t>(random()) % (2 * highest);
    ASSERT_EQ(assign(given, unassigned), BruteForce(given, unassigned).best())
        << "round " << round << ": " << given.rows << "x" << given.columns << " "
        << ::testing::PrintToString(given.values) << ", none " << unassigned;
  }
}

TEST(Assignment, of_many_is_one_to_one_and_no_pair_of_rows_would_rather_swap) {
  std::mt19937 random(21);
  Costs given(120, 150);
  for (std::int64_t& value : given.values) value = static_cast<std::int64_t>(random() % 1'000'000);
  const auto assigned = assign(given, 2'000'000);
  auto sorted = assigned;
  std::ranges::sort(sorted);
  EXPECT_EQ(std::ranges::adjacent_find(sorted), sorted.end());
  EXPECT_GE(sorted.front(), 0);
  const auto cost = [&](std::size_t row, std::size_t as) {
    return given.at(row, static_cast<std::size_t>(assigned[as]));
  };
  for (std::size_t a = 0; a < given.rows; ++a) {
    for (std::size_t b = 0; b < a; ++b) EXPECT_LE(cost(a, a) + cost(b, b), cost(a, b) + cost(b, a));
  }
}

}  // namespace
}  // namespace detect
