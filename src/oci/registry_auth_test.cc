#include "oci/registry_auth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "identity/base64.h"

namespace aloft::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(ChallengeTest, parameters_are_read_with_and_without_quotes) {
  const auto challenge = parse_challenge(
      R"(Bearer realm="https://auth.example/token",service=reg , scope="a:b:pull,push")");
  ASSERT_TRUE(challenge);
  EXPECT_EQ(challenge->scheme, "bearer");
  EXPECT_THAT(challenge->parameters,
              ElementsAre(Pair("realm", "https://auth.example/token"),
                          Pair("scope", "a:b:pull,push"), Pair("service", "reg")));
  EXPECT_EQ(parse_challenge(R"(BASIC Realm="a \"b\"")")->parameters.at("realm"), R"(a "b")");
  EXPECT_EQ(parse_challenge("Basic")->scheme, "basic");
}

TEST(ChallengeTest, what_is_laid_out_otherwise_is_none_and_harms_nothing) {
  for (const char* text :
       {"", " ", "=", "Bearer realm=\"", "Bearer realm=\"x\\", ",,,", "Bearer =x"})
    EXPECT_FALSE(parse_challenge(text)) << text;
  const auto two = parse_challenge(R"(Basic realm="a", Bearer realm="b")");
  ASSERT_TRUE(two);
  EXPECT_EQ(two->scheme, "basic");
  EXPECT_EQ(two->parameters.at("realm"), "a");
}

TEST(Base64Test, each_value_comes_back_and_what_is_none_is_refused) {
  std::vector<std::byte> bytes;
  for (int size = 0; size < 10; ++size) {
    EXPECT_EQ(identity::from_base64(identity::to_base64(bytes)), bytes);
    bytes.push_back(static_cast<std::byte>(250 + size));
  }
  for (const char* text : {"a", "ab", "abc", "ab=c", "====", "ab\n=", "abc=\n", "a b=", "ab-_"})
    EXPECT_FALSE(identity::from_base64(text)) << text;
}

TEST(UrlTest, in_clear_only_to_the_loopback_interface) {
  for (const char* url : {"https://registry.example.org/a", "http://127.0.0.1:5000/a",
                          "http://localhost/a", "http://[::1]:5000/a", "http://127.1.2.3/"})
    EXPECT_TRUE(parse_url(url)) << url;
  for (const char* url :
       {"http://registry.example.org/a", "http://127.0.0.1.example.org/", "http://localhost.evil/",
        "ftp://127.0.0.1/", "file:///etc/passwd", "https://u:p@h/", "https://", "", "no url"})
    EXPECT_FALSE(parse_url(url)) << url;
  EXPECT_EQ(resolve_url("https://h/v2/a/?x=1", "/v2/b?y=2").value(), "https://h/v2/b?y=2");
  EXPECT_EQ(resolve_url("https://h/v2/a/", "https://o:1/c").value(), "https://o:1/c");
}

}  // namespace
}  // namespace aloft::oci
