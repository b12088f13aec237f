#include "channel/credit_table.h"

#include <gtest/gtest.h>

namespace aloft::channel {
namespace {

TEST(CreditTable, a_message_takes_the_oldest_credit_that_holds_it) {
  CreditTable table;
  table.add(5, 10);
  table.add(5, 1000);
  table.add(5, 100);
  EXPECT_EQ(table.take(5, 50)->capacity, 1000U);
  EXPECT_EQ(table.take(5, 5)->capacity, 10U);
  EXPECT_EQ(table.take(5, 0)->capacity, 100U);
  EXPECT_FALSE(table.take(5, 0).error().any);
}

TEST(CreditTable, both_ends_take_the_same_credit_though_one_has_not_heard_of_the_newest) {
  CreditTable receiver;
  CreditTable sender;
  for (const std::uint64_t capacity : {100U, 50U}) {
    receiver.add(5, capacity);
    sender.add(5, capacity);
  }
  receiver.add(5, 70);  // on its way
  for (const std::uint64_t size : {40U, 40U})
    EXPECT_EQ(sender.take(5, size)->order, receiver.take(5, size)->order);
}

TEST(CreditTable, what_is_missing_is_told) {
  CreditTable table;
  EXPECT_FALSE(table.take(5, 1).error().any);
  table.add(5, 10);
  table.add(5, 30);
  EXPECT_FALSE(table.take(6, 1).error().any);
  const auto missing = table.take(5, 31);
  ASSERT_FALSE(missing);
  EXPECT_TRUE(missing.error().any);
  EXPECT_EQ(missing.error().largest, 30U);
  EXPECT_EQ(table.count(5), 2U);
}

TEST(CreditTable, a_credit_that_is_given_back_has_its_old_place) {
  CreditTable table;
  table.add(5, 10);
  table.add(5, 20);
  table.add(5, 30);
  const auto first = *table.take(5, 1);
  const auto second = *table.take(5, 1);
  table.give_back(5, second);
  table.give_back(5, first);
  for (const std::uint64_t capacity : {10U, 20U, 30U})
    EXPECT_EQ(table.take(5, 1)->capacity, capacity);
}

TEST(CreditTable, streams_without_credit_are_forgotten_where_there_are_many) {
  CreditTable table;
  for (wire::StreamId stream = 1; stream <= 1000; ++stream) {
    table.add(stream, 1);
    ASSERT_TRUE(table.take(stream, 1));
  }
  EXPECT_LE(table.streams(), 65U);
}

}  // namespace
}  // namespace aloft::channel
