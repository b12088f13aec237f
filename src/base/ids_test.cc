#include "base/ids.h"

#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace aloft {
namespace {

using ::testing::MatchesRegex;

TEST(Ids, have_two_digits_a_byte_in_lower_case) {
  const std::array bytes{std::byte{0x00}, std::byte{0x0a}, std::byte{0xf1}, std::byte{0xff}};
  EXPECT_EQ(to_hex(bytes), "000af1ff");
  EXPECT_EQ(to_hex({}), "");
}

TEST(Ids, that_are_made_up_are_as_long_as_asked_for_and_never_the_same) {
  EXPECT_THAT(random_hex(), MatchesRegex("[0-9a-f]{32}"));
  EXPECT_THAT(random_hex(8), MatchesRegex("[0-9a-f]{16}"));
  EXPECT_NE(random_hex(), random_hex());
}

}  // namespace
}  // namespace aloft
