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
  EXPECT_EQ(decide(*local_policy(), 0, true).reason.code(), ReasonCode::local_always);
}

TEST(Policy, remote_goes_to_the_edge_as_soon_as_it_is_ready) {
  EXPECT_EQ(decide(*remote_policy(), 7, true).place, Place::edge);
  const Decision without = decide(*remote_policy(), 7, false);
  EXPECT_EQ(without.place, Place::here);
  EXPECT_EQ(without.reason.text(), "remote: here, since no edge is ready");
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
  EXPECT_EQ(decide(*every_policy(50), 63, true).reason.text(),
            "every 50: calls 50..99 at the edge");
  EXPECT_EQ(decide(*every_policy(50), 120, true).reason.text(), "every 50: calls 100..149 here");
  const Decision stays = decide(*every_policy(50), 63, false);
  EXPECT_EQ(stays.place, Place::here);
  EXPECT_EQ(stays.reason.text(), "every 50: calls 50..99 at the edge, but no edge is ready");
}

TEST(Policy, every_none_is_every_one) {
  EXPECT_EQ(decide(*every_policy(0), 0, true).place, Place::here);
  EXPECT_EQ(decide(*every_policy(0), 1, true).place, Place::edge);
}

TEST(Reason, of_a_policy_of_ones_own_is_words_and_numbers) {
  EXPECT_EQ(Reason("the battery is low").text(), "the battery is low");
  EXPECT_EQ(Reason("{} C, {} % left", 81, 12).text(), "81 C, 12 % left");
  EXPECT_EQ(Reason("at most {}", ~std::uint64_t{0}).text(), "at most 18446744073709551615");
  EXPECT_EQ(Reason("{} {} {} {}", 1, 2, 3).text(), "1 2 3 {}") << "there are three numbers";
  EXPECT_EQ(Reason().text(), "");
}

TEST(Reason, has_a_text_for_every_code) {
  for (int code = 1; code < static_cast<int>(ReasonCode::other); ++code)
    EXPECT_FALSE(Reason(static_cast<ReasonCode>(code)).text().empty()) << code;
}

}  // namespace
}  // namespace aloft
