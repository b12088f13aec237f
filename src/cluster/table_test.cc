#include "cluster/table.h"

#include <cstdio>
#include <memory>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace aloft::cluster {
namespace {

using Sessions = Table<records::SessionRecord>;

// "0000", "0001", ...
std::string id_of(std::size_t number) {
  char text[16];
  std::snprintf(text, sizeof text, "%04zu", number);
  return text;
}

void fill(Sessions& table, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    auto record = std::make_shared<records::SessionRecord>();
    record->set_generation(i);
    table.learn(id_of(i), {std::move(record), 1});
  }
}

TEST(Table, a_walk_in_turns_sees_every_record_once_and_in_order) {
  for (const std::size_t count : {std::size_t{0}, std::size_t{1}, kTurn, kTurn + 1, 5 * kTurn}) {
    Sessions table("sessions/");
    fill(table, count);
    std::size_t seen = 0;
    table.for_each_in_turns([&](const std::string& id, const auto& record) {
      EXPECT_EQ(id, id_of(seen));
      EXPECT_EQ(record->generation(), seen);
      ++seen;
    });
    EXPECT_EQ(seen, count);
  }
}

TEST(Table, pages_follow_each_other_and_the_last_one_is_short) {
  Sessions table("sessions/");
  fill(table, 25);
  std::set<std::string> seen;
  std::string last;
  std::size_t pages = 0;
  for (;;) {
    const auto page = table.page(last, 10);
    ++pages;
    for (const auto& [id, record] : page) EXPECT_TRUE(seen.insert(id).second) << id;
    if (page.size() < 10) break;
    last = page.back().first;
  }
  EXPECT_EQ(pages, 3U);
  EXPECT_EQ(seen.size(), 25U);
  EXPECT_TRUE(table.page({}, 0).empty());
}

TEST(Table, a_record_that_is_gone_is_in_no_page) {
  Sessions table("sessions/");
  fill(table, 3);
  table.learn(id_of(1), {nullptr, 2});
  const auto page = table.page({}, 10);
  ASSERT_EQ(page.size(), 2U);
  EXPECT_EQ(page[0].first, id_of(0));
  EXPECT_EQ(page[1].first, id_of(2));
}

}  // namespace
}  // namespace aloft::cluster
