// The bytes themselves: what a guest has to read, what it has to write, and what it must not take
// for arguments.
#include <fstream>

#include <gmock/gmock.h>

#include "world.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 60s;

std::vector<std::byte> bytes(std::initializer_list<int> values) {
  std::vector<std::byte> made;
  for (const int value : values) made.push_back(static_cast<std::byte>(value));
  return made;
}
std::vector<std::byte> operator+(std::vector<std::byte> a, const std::vector<std::byte>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
template <class T>
std::vector<std::byte> encoded(const T& value) {
  codec::Writer writer;
  codec::write(writer, value);
  std::vector<std::byte> made;
  for (const auto segment : writer.segments())
    made.insert(made.end(), segment.begin(), segment.end());
  return made;
}

// A track as a tuple, whose bytes are the same.
auto track_as_tuple() {
  using Point = std::tuple<float, float>;
  return std::tuple<std::uint64_t, std::string, Point, std::vector<Point>, std::optional<double>>{
      7, "seven", {1, 2}, {{3, 4}}, 0.5};
}

// A device that sends any bytes.
class RawTest : public ConformanceTest {
 protected:
  void SetUp() override {
    if (guest_place() == Place::here)
      GTEST_SKIP() << "here a guest gets no arguments but those that this device encodes";
    ASSERT_TRUE(ue_.wait_up(kPatience));
    const auto model = read(world_.model_file());
    auto opened = ue_.open(file_, {{"doubling", model}}, nullptr, kPatience);
    ASSERT_TRUE(opened) << opened.error().message;
    module_ = *opened;
  }
  RawUe::Answer call(const std::string& function, std::vector<std::byte> arguments) {
    RawCallOptions options;
    options.limit = kPatience;
    return ue_.call(module_, "conformance::" + function, std::move(arguments), options);
  }
  void expect_answer(const std::string& function, std::vector<std::byte> arguments,
                     const std::vector<std::byte>& answer) {
    const RawUe::Answer got = call(function, std::move(arguments));
    ASSERT_EQ(got.error(), std::nullopt) << function << ": " << got.head.error->message;
    EXPECT_EQ(got.body, answer) << function;
  }
  void expect_refusal(const std::string& function, std::vector<std::byte> arguments,
                      const char* why) {
    EXPECT_EQ(call(function, std::move(arguments)).error(), Errc::protocol)
        << function << ": " << why;
  }

  static std::vector<std::byte> read(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const auto view = std::as_bytes(std::span(text));
    return {view.begin(), view.end()};
  }

  const ModuleFile file_{guest_module()};
  RawUe ue_{world_.address()};
  RawUe::Module module_;
};

class Forms : public RawTest {};
class Shortest : public RawTest {};
class Refused : public RawTest {};

TEST_F(Forms, of_an_integer_are_all_read) {
  for (const auto& five :
       {bytes({5}), bytes({0xcc, 5}), bytes({0xcd, 0, 5}), bytes({0xce, 0, 0, 0, 5}),
        bytes({0xcf, 0, 0, 0, 0, 0, 0, 0, 5}), bytes({0xd0, 5}), bytes({0xd1, 0, 5}),
        bytes({0xd2, 0, 0, 0, 5}), bytes({0xd3, 0, 0, 0, 0, 0, 0, 0, 5})}) {
    for (const char* function : {"next_i8", "next_u8", "next_i32", "next_u64", "next_i64"})
      expect_answer(function, bytes({0x91}) + five, bytes({6}));
  }
  for (const auto& minus_two : {bytes({0xfe}), bytes({0xd0, 0xfe}), bytes({0xd1, 0xff, 0xfe}),
                                bytes({0xd2, 0xff, 0xff, 0xff, 0xfe})})
    expect_answer("next_i16", bytes({0x91}) + minus_two, bytes({0xff}));
}
TEST_F(Forms, of_a_length_are_all_read) {
  for (const auto& head :
       {bytes({0xa2}), bytes({0xd9, 2}), bytes({0xda, 0, 2}), bytes({0xdb, 0, 0, 0, 2})})
    expect_answer("reversed", bytes({0x91}) + head + bytes({'a', 'b'}), bytes({0xa2, 'b', 'a'}));
  for (const auto& head : {bytes({0xc4, 2}), bytes({0xc5, 0, 2}), bytes({0xc6, 0, 0, 0, 2})})
    expect_answer("reversed_bytes", bytes({0x91}) + head + bytes({1, 2}), bytes({0xc4, 2, 2, 1}));
  for (const auto& head : {bytes({0x91}), bytes({0xdc, 0, 1}), bytes({0xdd, 0, 0, 0, 1})}) {
    expect_answer("backwards", head + head + bytes({0xa0}), bytes({0x91, 0xa0}));
  }
  for (const auto& head : {bytes({0x81}), bytes({0xde, 0, 1}), bytes({0xdf, 0, 0, 0, 1})})
    expect_answer("doubled", bytes({0x91}) + head + bytes({0xa1, 'k', 3}),
                  bytes({0x81, 0xa1, 'k', 6}));
}
TEST_F(Forms, of_a_float_are_both_read_as_one_of_64_bits) {
  expect_answer("half_f64", bytes({0x91, 0xca, 0x40, 0, 0, 0}), encoded(1.0));
}

TEST_F(Shortest, form_of_each_integer_is_written) {
  for (const std::int64_t value :
       {0L,          126L, 127L, 128L, 254L,  255L,  65534L,  65535L,  65536L,       4294967294L,
        4294967295L, -2L,  -33L, -34L, -129L, -130L, -32769L, -32770L, -2147483649L, -2147483650L})
    expect_answer("next_i64", arguments(value), encoded(value + 1));
}
TEST_F(Shortest, form_of_each_length_is_written) {
  for (const std::size_t size : {0U, 1U, 15U, 16U, 31U, 32U, 255U, 256U, 65535U, 65536U}) {
    const std::string text(size, 'x');
    expect_answer("reversed", arguments(text), encoded(text));
    const std::vector<std::uint8_t> data(size, 7);
    expect_answer("reversed_bytes", arguments(data), encoded(data));
    const std::vector<std::string> words(size, "w");
    expect_answer("backwards", arguments(words), encoded(words));
    std::map<std::string, std::int64_t> map;
    for (std::size_t i = 0; i < std::min<std::size_t>(size, 300); ++i) map[std::to_string(i)] = 0;
    expect_answer("doubled", arguments(map), encoded(map));
  }
}
TEST_F(Shortest, form_of_everything_else_is_written) {
  expect_answer("half_f32", arguments(3.0F), encoded(1.5F));
  expect_answer("half_f64", arguments(3.0), encoded(1.5));
  expect_answer("rotated", arguments(std::array<float, 3>{1, 2, 3}),
                encoded(std::array<float, 3>{2, 3, 1}));
  expect_answer("opposite", arguments(std::optional<std::int32_t>(0)), bytes({0xc0}));
  expect_answer("say", arguments("hello"), bytes({0xc0}));
  expect_answer("next_char", arguments('\xfe'), bytes({0xcc, 0xff}));
}

TEST_F(Refused, is_another_number_of_arguments) {
  expect_refusal("next_i32", bytes({0x90}), "none");
  expect_refusal("next_i32", bytes({0x92, 1, 2}), "two");
  expect_refusal("next_i32", bytes({1}), "no array");
  expect_refusal("language", bytes({0x91, 1}), "one that there is none of");
  expect_refusal("next_i32", {}, "nothing at all");
}
TEST_F(Refused, is_another_type) {
  expect_refusal("next_i32", bytes({0x91, 0xc3}), "a boolean for an integer");
  expect_refusal("next_i32", bytes({0x91, 0xa1, '1'}), "a string for an integer");
  expect_refusal("invert", bytes({0x91, 1}), "an integer for a boolean");
  expect_refusal("half_f64", bytes({0x91, 1}), "an integer for a float");
  expect_refusal("half_f32", bytes({0x91, 0xcb, 0, 0, 0, 0, 0, 0, 0, 0}),
                 "64 bits for a float of 32");
  expect_refusal("reversed", bytes({0x91, 0xc4, 1, 'a'}), "bytes for a string");
  expect_refusal("reversed_bytes", bytes({0x91, 0xa1, 'a'}), "a string for bytes");
  expect_refusal("reversed_bytes", bytes({0x91, 0x91, 1}), "an array for bytes");
  expect_refusal("backwards", bytes({0x91, 0x91, 1}), "an integer for a string in a list");
  expect_refusal("doubled", bytes({0x91, 0x90}), "an array for a map");
  expect_refusal("opposite", bytes({0x91, 0xc2}), "a boolean for an optional integer");
  expect_refusal("next_i32", bytes({0x91, 0xc1}), "a tag that MessagePack does not use");
}
TEST_F(Refused, is_a_number_outside_of_its_range) {
  expect_refusal("next_i8", arguments(std::int16_t{128}), "128");
  expect_refusal("next_i8", arguments(std::int16_t{-129}), "-129");
  expect_refusal("next_u8", arguments(std::int16_t{-1}), "-1");
  expect_refusal("next_u8", arguments(std::int16_t{256}), "256");
  expect_refusal("next_i16", arguments(std::int32_t{32768}), "32768");
  expect_refusal("next_u16", arguments(std::int32_t{65536}), "65536");
  expect_refusal("next_i32", arguments(std::int64_t{2147483648}), "2^31");
  expect_refusal("next_u32", arguments(std::int64_t{-1}), "-1");
  expect_refusal("next_u32", arguments(std::int64_t{4294967296}), "2^32");
  expect_refusal("next_i64", arguments(std::uint64_t{1} << 63U), "2^63");
  expect_refusal("next_u64", arguments(std::int64_t{-1}), "-1");
  expect_refusal("next_char", arguments(std::int16_t{256}), "256");
  expect_refusal("complement", arguments(std::int16_t{-1}), "-1");
}
TEST_F(Refused, is_what_is_cut_off_or_too_long) {
  const auto whole = arguments(track_as_tuple(), std::tuple<float, float>{1, 2});
  for (std::size_t size = 0; size < whole.size(); ++size)
    expect_refusal("moved", {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)},
                   "cut off");
  expect_refusal("moved", whole + bytes({0xc0}), "one byte too many");
  expect_refusal("next_i32", bytes({0x91, 5, 5}), "one byte too many");
}
TEST_F(Refused, is_a_length_that_no_bytes_are_behind) {
  expect_refusal("reversed", bytes({0x91, 0xdb, 0xff, 0xff, 0xff, 0xff, 'a'}), "a string of 4 GiB");
  expect_refusal("reversed_bytes", bytes({0x91, 0xc6, 0xff, 0xff, 0xff, 0xff, 1}), "4 GiB");
  expect_refusal("backwards", bytes({0x91, 0xdd, 0xff, 0xff, 0xff, 0xff, 0xa0}), "4 Gi strings");
  expect_refusal("doubled", bytes({0x91, 0xdf, 0xff, 0xff, 0xff, 0xff, 0xa0, 1}), "4 Gi pairs");
  expect_refusal("sums", bytes({0x91, 0xc6, 0xff, 0xff, 0xff, 0xfc, 1}), "1 Gi integers");
  expect_refusal("next_i32", bytes({0xdd, 0xff, 0xff, 0xff, 0xff, 1}), "4 Gi arguments");
}
TEST_F(Refused, is_what_breaks_a_types_rule) {
  expect_refusal("sums", bytes({0x91, 0xc4, 3, 1, 2, 3}), "no whole number of integers");
  expect_refusal("rotated", bytes({0x91, 0xc4, 8, 0, 0, 0, 0, 0, 0, 0, 0}), "two floats of three");
  expect_refusal("doubled", bytes({0x91, 0x82, 0xa1, 'k', 1, 0xa1, 'k', 2}), "a key twice");
  expect_refusal("swapped", bytes({0x91, 0x91, 1}), "a tuple of one");
  expect_refusal("negative", bytes({0x91, 0x94, 2, 2, 1, 0xc4, 3, 0, 0, 0}), "3 pixels for 2x2");
  expect_refusal("negative", bytes({0x91, 0x94, 1, 1, 9, 0xc4, 1, 0}),
                 "a format that there is not");
  expect_refusal("negative",
                 bytes({0x91, 0x94, 0xce, 0x80, 0, 0, 0, 0xce, 0x80, 0, 0, 0, 5, 0xc4, 0}),
                 "more pixels than 64 bits can count");
}
TEST_F(Refused, arguments_harm_nothing_else) {
  for (int round = 0; round < 100; ++round) {
    expect_refusal("next_i32", bytes({0x91, 0xc3}), "a boolean");
    expect_answer("next_i32", bytes({0x91, 41}), bytes({42}));
  }
}

}  // namespace
}  // namespace aloft::testing
