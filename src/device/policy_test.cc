#include <string>

#include <gtest/gtest.h>

#include <aloft/policy.h>

namespace aloft {
namespace {

Decision decide(const Policy& policy, std::uint64_t number, bool edge_ready) {
  return policy.decide({.function = "demo::f", .number = number, .edge_ready = edge_ready});
}

TEST(Policy, local_stays_here_whatever_the_edge_says) {
  EXPECT_EQ(decide(*local_policy(), 0, true).place, Place::here);
  EXPECT_FALSE(decide(*local_policy(), 0, true).reason.empty());
}

TEST(Policy, remote_goes_to_the_edge_as_soon_as_it_is_ready) {
  EXPECT_EQ(decide(*remote_policy(), 7, true).place, Place::edge);
  const Decision without = decide(*remote_policy(), 7, false);
  EXPECT_EQ(without.place, Place::here);
  EXPECT_EQ(without.reason.view(), "remote: here, since no edge is ready");
}

TEST(Policy, every_starts_here_and_changes_the_place_each_time) {
  const auto policy = every_policy(50);
  EXPECT_EQ(decide(*policy, 0, true).place, Place::here);
  EXPECT_EQ(decide(*policy, 49, true).place, Place::here);
  EXPECT_EQ(decide(*policy, 50, true).place, Place::edge);
  EXPECT_EQ(decide(*policy, 99, true).place, Place::edge);
  EXPECT_EQ(decide(*policy, 100, true).place, Place::here);
  int switches = 0;
  for (std::uint64_t i = 1; i < 600; ++i) {
    switches += decide(*policy, i, true).place != decide(*policy, i - 1, true).place ? 1 : 0;
  }
  EXPECT_EQ(switches, 11);
}

TEST(Policy, every_says_which_calls_it_means_and_why_they_stay) {
  EXPECT_EQ(decide(*every_policy(50), 63, true).reason.view(),
            "every 50: calls 50..99 at the edge");
  EXPECT_EQ(decide(*every_policy(50), 120, true).reason.view(), "every 50: calls 100..149 here");
  const Decision stays = decide(*every_policy(50), 63, false);
  EXPECT_EQ(stays.place, Place::here);
  EXPECT_EQ(stays.reason.view(), "every 50: calls 50..99 at the edge, but no edge is ready");
}

TEST(Policy, every_none_is_every_one) {
  EXPECT_EQ(decide(*every_policy(0), 0, true).place, Place::here);
  EXPECT_EQ(decide(*every_policy(0), 1, true).place, Place::edge);
}

TEST(Reason, is_cut_where_it_does_not_fit) {
  const std::string text(Reason::kCapacity + 10, 'x');
  EXPECT_EQ(Reason(text).view(), text.substr(0, Reason::kCapacity));
  EXPECT_EQ(Reason(text).append("more").view().size(), Reason::kCapacity);
}

TEST(Reason, writes_numbers_of_any_size) {
  EXPECT_EQ(Reason("").append(std::uint64_t{0}).view(), "0");
  EXPECT_EQ(Reason("").append(~std::uint64_t{0}).view(), "18446744073709551615");
}

}  // namespace
}  // namespace aloft
