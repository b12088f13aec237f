#include "wire/greeting.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "wire/little_endian.h"

namespace aloft::wire {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

GreetingBytes hello() {
  return pack(Greeting{.kind = GreetingKind::hello, .versions = {1, 3}, .length = 5});
}

TEST(Greeting, what_is_packed_and_unpacked_is_the_same) {
  const std::vector<Greeting> all{
      {.kind = GreetingKind::hello,
       .credit = CreditRule::not_required,
       .versions = {1, 7},
       .length = 4096},
      {.kind = GreetingKind::welcome, .credit = CreditRule::required, .versions = {3, 3}},
      {.kind = GreetingKind::refused, .code = Errc::overloaded, .versions = {2, 3}, .length = 1024},
  };
  for (const Greeting& greeting : all) {
    const auto back = unpack(pack(greeting));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, greeting);
  }
}

TEST(Greeting, every_field_that_may_not_be_is_named_in_a_protocol_error) {
  const auto complaint = [](GreetingBytes bytes, std::size_t offset, auto value) -> std::string {
    store(bytes, offset, value);
    const auto greeting = unpack(bytes);
    if (greeting) return "accepted";
    EXPECT_EQ(greeting.error().code, Errc::protocol);
    return greeting.error().message;
  };
  using u8 = std::uint8_t;
  using u16 = std::uint16_t;
  using u32 = std::uint32_t;
  EXPECT_EQ(complaint(hello(), 8, u8{0}), "handshake: kind is 0, must be 1 to 3");
  EXPECT_EQ(complaint(hello(), 8, u8{4}), "handshake: kind is 4, must be 1 to 3");
  EXPECT_EQ(complaint(hello(), 9, u8{0}), "handshake: credit is 0, must be 1 or 2");
  EXPECT_EQ(complaint(hello(), 10, u16{1}), "handshake: code is 1, must be 0 unless in a refusal");
  EXPECT_EQ(complaint(hello(), 12, u16{0}), "handshake: version_min is 0, must be at least 1");
  EXPECT_EQ(complaint(hello(), 12, u16{4}),
            "handshake: version_max is 3, must not be below version_min");
  EXPECT_EQ(complaint(hello(), 16, u32{4097}), "handshake: length is 4097, must be at most 4096");
  EXPECT_EQ(complaint(hello(), 8, u8{2}),
            "handshake: version_max is 3, must be version_min in a welcome");

  const GreetingBytes refused =
      pack(Greeting{.kind = GreetingKind::refused, .code = Errc::refused, .versions = {1, 1}});
  EXPECT_EQ(complaint(refused, 9, u8{1}), "handshake: credit is 1, must be 0 in a refusal");
  EXPECT_EQ(complaint(refused, 10, u16{0}), "handshake: code is 0, must not be 0 in a refusal");
  EXPECT_EQ(complaint(refused, 16, u32{1025}),
            "handshake: length is 1025, must be at most 1024 in a refusal");
}

TEST(Greeting, another_protocol_is_seen_from_its_first_bytes) {
  EXPECT_TRUE(check_start({}));
  const GreetingBytes bytes = hello();
  for (std::size_t size = 0; size <= bytes.size(); ++size)
    EXPECT_TRUE(check_start(std::span(bytes).first(size)));

  const auto http = check_start(bytes_of("HTTP/1.1 400 Bad Request\r\nServer: x"));
  ASSERT_FALSE(http);
  EXPECT_EQ(http.error().code, Errc::protocol);
  EXPECT_EQ(
      http.error().message,
      "the peer speaks another protocol: its first bytes are \"HTTP/1.1 400 Bad Request  Server\"");
  EXPECT_FALSE(check_start(bytes_of("S")));

  GreetingBytes line_ends_changed = bytes;
  line_ends_changed[6] = std::byte{0x0A};
  EXPECT_FALSE(check_start(line_ends_changed));
  EXPECT_FALSE(unpack(line_ends_changed));
}

TEST(Greeting, the_highest_version_in_common_is_chosen) {
  EXPECT_EQ(choose_version({1, 1}, {1, 1}), 1);
  EXPECT_EQ(choose_version({1, 3}, {2, 5}), 3);
  EXPECT_EQ(choose_version({2, 5}, {1, 3}), 3);
}

TEST(Greeting, two_ends_without_a_common_version_are_told_both_ranges) {
  const auto none = choose_version({1, 1}, {2, 3});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::version_mismatch);
  EXPECT_EQ(none.error().message, "peer speaks wire versions 2..3, we speak 1..1");
  EXPECT_FALSE(choose_version({4, 5}, {2, 3}));
}

TEST(Greeting, a_long_refusal_is_cut) {
  const auto bytes = pack_refused({1, 1}, {Errc::refused, std::string(5000, 'x')});
  EXPECT_EQ(bytes.size(), kGreetingSize + kMaxRefusal);
  EXPECT_TRUE(
      unpack(std::span<const std::byte, kGreetingSize>(std::span(bytes).first<kGreetingSize>())));
}

}  // namespace
}  // namespace aloft::wire
