#include "wire/frame.h"

#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "wire/error_text.h"
#include "wire/little_endian.h"

namespace aloft::wire {
namespace {

constexpr FrameHeader kFirst{.type = FrameType::message,
                             .part = Part::first,
                             .head_size = 10,
                             .stream = 5,
                             .length = 100,
                             .number = 1000};
constexpr FrameHeader kCredit{.type = FrameType::credit, .stream = 5, .number = 77};
constexpr FrameHeader kReset{.type = FrameType::reset, .stream = 5, .length = 20, .number = 3};
constexpr FrameHeader kPing{.type = FrameType::ping, .length = 8};
constexpr FrameHeader kClose{.type = FrameType::close, .length = 2};

TEST(Frame, a_header_that_is_packed_and_unpacked_is_the_same) {
  for (const FrameHeader& header : {kFirst, kCredit, kReset, kPing, kClose}) {
    const auto back = unpack(pack(header));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, header);
  }
}

// A valid header, one field of it made wrong, and what the complaint must name.
struct Wrong {
  const char* what;
  FrameHeader header;
  std::string complaint;
};

FrameHeader with(FrameHeader header, auto member, auto value) {
  header.*member = static_cast<std::remove_reference_t<decltype(header.*member)>>(value);
  return header;
}

TEST(Frame, every_field_that_may_not_be_is_named_in_a_protocol_error) {
  constexpr FrameHeader kLast{
      .type = FrameType::message, .part = Part::last, .stream = 5, .length = 9};
  constexpr FrameHeader kWhole{
      .type = FrameType::message, .part = Part::whole, .length = 9, .number = 9};
  using F = FrameHeader;
  const std::vector<Wrong> all{
      {"type 0", with(kPing, &F::type, 0), "frame: type is 0, must be 1 to 6"},
      {"type 7", with(kPing, &F::type, 7), "frame: type is 7, must be 1 to 6"},
      {"an unknown flag", with(kFirst, &F::part, 5), "message frame: flags is 5, must be 0 to 3"},
      {"too long", with(kFirst, &F::length, 65537),
       "message frame: length is 65537, must be 0 to 65536"},
      {"a head too long",
       {FrameType::message, Part::first, 16385, 5, 20000, 90000},
       "message frame: head_size is 16385, must be 0 to 16384"},
      {"a head longer than the frame", with(kFirst, &F::head_size, 101),
       "message frame: head_size is 101, must be 0 to 100"},
      {"a body that ends in a first fragment", with(kFirst, &F::number, 90),
       "message frame: number is 90, must be 91 to 4294967295"},
      {"a body that does not fill its only fragment", with(kWhole, &F::number, 10),
       "message frame: number is 10, must be 9"},
      {"a body that overflows its only fragment", with(kWhole, &F::number, 8),
       "message frame: number is 8, must be 9"},
      {"nothing in another fragment", with(kLast, &F::length, 0),
       "message frame: length is 0, must be 1 to 65536"},
      {"a head in another fragment", with(kLast, &F::head_size, 1),
       "message frame: head_size is 1, must be 0"},
      {"a size in another fragment", with(kLast, &F::number, 1),
       "message frame: number is 1, must be 0"},
      {"credit with flags", with(kCredit, &F::part, 1), "credit frame: flags is 1, must be 0"},
      {"credit with a head", with(kCredit, &F::head_size, 1),
       "credit frame: head_size is 1, must be 0"},
      {"credit for control", with(kCredit, &F::stream, 0),
       "credit frame: stream is 0, must be 1 to 4294967295"},
      {"credit with payload", with(kCredit, &F::length, 1), "credit frame: length is 1, must be 0"},
      {"reset of control", with(kReset, &F::stream, 0),
       "reset frame: stream is 0, must be 1 to 4294967295"},
      {"reset without code", with(kReset, &F::length, 1),
       "reset frame: length is 1, must be 2 to 514"},
      {"reset too long", with(kReset, &F::length, 515),
       "reset frame: length is 515, must be 2 to 514"},
      {"ping on a stream", with(kPing, &F::stream, 1), "ping frame: stream is 1, must be 0"},
      {"ping too short", with(kPing, &F::length, 7), "ping frame: length is 7, must be 8"},
      {"ping with a number", with(kPing, &F::number, 7), "ping frame: number is 7, must be 0"},
      {"pong too long",
       {.type = FrameType::pong, .length = 9},
       "pong frame: length is 9, must be 8"},
      {"close on a stream", with(kClose, &F::stream, 1), "close frame: stream is 1, must be 0"},
      {"close too long", with(kClose, &F::length, 515),
       "close frame: length is 515, must be 2 to 514"},
      {"close with a number", with(kClose, &F::number, 9), "close frame: number is 9, must be 0"},
  };
  for (const Wrong& wrong : all) {
    const auto header = unpack(pack(wrong.header));
    ASSERT_FALSE(header) << wrong.what;
    EXPECT_EQ(header.error().code, Errc::protocol) << wrong.what;
    EXPECT_EQ(header.error().message, wrong.complaint) << wrong.what;
  }
}

TEST(Frame, the_limits_themselves_are_allowed) {
  const std::vector<FrameHeader> all{
      {FrameType::message, Part::first, 0, 1, 65536, 0xFFFF'FFFF},
      {FrameType::message, Part::first, 16384, 0xFFFF'FFFF, 16384, 1},
      {FrameType::message, Part::whole, 0, 0, 0, 0},
      {FrameType::message, Part::whole, 16384, 0, 65536, 65536 - 16384},
      {FrameType::message, Part::middle, 0, 0, 1, 0},
      {FrameType::message, Part::last, 0, 0, 65536, 0},
      {FrameType::credit, Part::middle, 0, 1, 0, 0},
      {FrameType::reset, Part::middle, 0, 1, 514, 0xFFFF'FFFF},
      {FrameType::close, Part::middle, 0, 0, 514, 0},
  };
  for (const FrameHeader& header : all) EXPECT_TRUE(unpack(pack(header)));
}

TEST(Frame, random_headers_are_understood_or_refused_and_what_is_understood_packs_to_the_same) {
  std::mt19937 random(1);
  int understood = 0;
  for (int i = 0; i < 200'000; ++i) {
    HeaderBytes bytes;
    // Small numbers are likelier to be valid.
    for (std::byte& byte : bytes)
      byte = static_cast<std::byte>(random() % 4 == 0 ? random() % 8 : 0);
    const auto header = unpack(bytes);
    if (!header) continue;
    ++understood;
    EXPECT_EQ(pack(*header), bytes);
  }
  EXPECT_GT(understood, 100);
}

TEST(ErrorText, an_error_that_is_packed_and_unpacked_is_the_same) {
  const Error error{Errc::overloaded, "too many sessions: größer als 8"};
  const auto back = unpack_error(pack_error(error));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->code, error.code);
  EXPECT_EQ(back->message, error.message);
}

TEST(ErrorText, text_that_is_too_long_is_cut_at_the_end_of_a_character) {
  std::string text(511, 'x');
  text += "ü and more";
  const auto bytes = pack_error({Errc::internal, text});
  EXPECT_EQ(bytes.size(), 2 + 511);
  EXPECT_EQ(unpack_error(bytes)->message, std::string(511, 'x'));
}

TEST(ErrorText, a_code_of_a_later_version_is_an_internal_error) {
  std::vector<std::byte> bytes = pack_error({Errc::refused, "why"});
  store(bytes, 0, std::uint16_t{999});
  EXPECT_EQ(unpack_error(bytes)->code, Errc::internal);
  EXPECT_EQ(unpack_error(bytes)->message, "why");
}

TEST(ErrorText, text_of_a_peer_cannot_forge_lines_of_a_log) {
  const auto error = unpack_error(pack_error({Errc::refused, "one\nerror: two\x1b[31m"}));
  EXPECT_EQ(error->message, "one error: two [31m");
}

TEST(ErrorText, bytes_that_are_no_error_are_refused) {
  EXPECT_EQ(unpack_error({}).error().code, Errc::protocol);
  const std::vector<std::byte> zero(2);
  EXPECT_EQ(unpack_error(zero).error().message, "error: code is 0");
  const std::vector<std::byte> large(515, std::byte{1});
  EXPECT_EQ(unpack_error(large).error().code, Errc::protocol);
}

}  // namespace
}  // namespace aloft::wire
