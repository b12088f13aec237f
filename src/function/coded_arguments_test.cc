#include "function/coded_arguments.h"

#include <cstdlib>
#include <functional>
#include <limits>
#include <string>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <aloft/codec.h>

namespace aloft::function {
namespace {

using ::testing::HasSubstr;
using Bytes = std::vector<std::byte>;

constexpr ImageCoding kCoding{ImageFormat::jpeg, 90};

Image picture(std::uint32_t width, std::uint32_t height, PixelFormat format = PixelFormat::bgr8) {
  Image image(width, height, format);
  std::size_t i = 0;
  for (std::uint8_t& value : image.mutable_pixels())
    value = static_cast<std::uint8_t>(80 + i++ / 40 % 100);
  return image;
}

Bytes joined(std::span<const std::span<const std::byte>> segments) {
  Bytes bytes;
  for (const auto segment : segments) bytes.insert(bytes.end(), segment.begin(), segment.end());
  return bytes;
}

Call call_of(const CodedArguments& coded) {
  Call call;
  call.argument_bytes = coded.argument_bytes();
  call.pictures = coded.pictures();
  return call;
}

// What a handler makes of it.
Result<Bytes> at_the_handler(const Call& call, const Bytes& body) {
  if (auto checked = check_pictures(call, body.size()); !checked)
    return std::unexpected(checked.error());
  Bytes arguments(call.argument_bytes);
  image::JpegDecoder decoder;
  if (auto decoded = decode_pictures(call, body, decoder, arguments); !decoded)
    return std::unexpected(decoded.error());
  return arguments;
}

double mean_difference(const Image& a, const Image& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.pixels().size(); ++i)
    sum += std::abs(a.pixels()[i] - b.pixels()[i]);
  return sum / static_cast<double>(a.pixels().size());
}

TEST(CodedArguments, everything_but_the_pixels_comes_back_bit_for_bit_and_the_pixels_nearly) {
  const Image first = picture(160, 120);
  const std::vector<Image> second{picture(64, 200, PixelFormat::gray8)};
  const std::string text(5000, 'x');
  codec::Writer writer;
  codec::write_arguments(writer, 7, first, text, second, -1.5);
  const auto coded = CodedArguments::encode(writer, kCoding);
  ASSERT_TRUE(coded.has_value());
  EXPECT_EQ(coded->pictures().size(), 2U);
  const Bytes body = joined(coded->segments());
  EXPECT_EQ(body.size(), coded->size());
  EXPECT_LT(body.size(), writer.size() / 3);
  EXPECT_EQ(coded->record().coding, kCoding);
  EXPECT_EQ(coded->record().raw_bytes, first.pixels().size() + second[0].pixels().size());

  const auto arguments = at_the_handler(call_of(*coded), body);
  ASSERT_TRUE(arguments.has_value()) << arguments.error().message;
  ASSERT_EQ(arguments->size(), writer.size());
  codec::Reader reader(*arguments);
  std::tuple<int, Image, std::string, std::vector<Image>, double> read;
  ASSERT_TRUE(codec::read_arguments(reader, read)) << reader.error().message;
  EXPECT_EQ(std::get<0>(read), 7);
  EXPECT_EQ(std::get<2>(read), text);
  EXPECT_EQ(std::get<4>(read), -1.5);
  EXPECT_LT(mean_difference(std::get<1>(read), first), 4);
  EXPECT_LT(mean_difference(std::get<3>(read).at(0), second[0]), 4);
}

TEST(CodedArguments, the_same_pixels_as_a_picture_and_as_bytes_are_told_apart) {
  const Image image = picture(160, 120);
  codec::Writer writer;
  codec::write_arguments(writer, image.pixels(), image);
  const auto coded = CodedArguments::encode(writer, kCoding);
  ASSERT_TRUE(coded.has_value());
  const auto arguments = at_the_handler(call_of(*coded), joined(coded->segments()));
  ASSERT_TRUE(arguments.has_value()) << arguments.error().message;
  codec::Reader reader(*arguments);
  std::tuple<std::vector<std::uint8_t>, Image> read;
  ASSERT_TRUE(codec::read_arguments(reader, read));
  EXPECT_TRUE(std::ranges::equal(std::get<0>(read), image.pixels()));
}

TEST(CodedArguments, what_cannot_become_smaller_goes_as_it_is) {
  const auto is_coded = [](const Image& image, const ImageCoding& coding = kCoding) {
    codec::Writer writer;
    codec::write_arguments(writer, image);
    return CodedArguments::encode(writer, coding).has_value();
  };
  EXPECT_TRUE(is_coded(picture(100, 100)));
  EXPECT_FALSE(is_coded(picture(100, 100), {}));
  EXPECT_FALSE(is_coded(picture(10, 10)));                        // not worth the trouble
  EXPECT_FALSE(is_coded(picture(100, 100, PixelFormat::bgra8)));  // JPEG has no transparency
  Image noise(100, 100, PixelFormat::gray8);
  std::uint32_t state = 1;
  for (std::uint8_t& value : noise.mutable_pixels())
    value = static_cast<std::uint8_t>((state = state * 1664525 + 1013904223) >> 24U);
  EXPECT_FALSE(is_coded(noise, {ImageFormat::jpeg, 100}));
}

TEST(CodedArguments, a_head_holds_as_many_pictures_as_are_encoded) {
  const std::vector<Image> many(kMaxPictures + 20, picture(80, 80));
  codec::Writer writer;
  codec::write_arguments(writer, many);
  const auto coded = CodedArguments::encode(writer, kCoding);
  ASSERT_TRUE(coded.has_value());
  EXPECT_EQ(coded->pictures().size(), kMaxPictures);
  EXPECT_LT(encode(call_of(*coded)).size(), std::size_t{16384});
  EXPECT_TRUE(at_the_handler(call_of(*coded), joined(coded->segments())).has_value());
}

// Each lie of a head, and what is said of it.
TEST(CodedArguments, a_head_that_lies_about_its_body_is_refused) {
  const Image image = picture(160, 120);
  codec::Writer writer;
  codec::write_arguments(writer, image, image);
  const auto coded = CodedArguments::encode(writer, kCoding);
  ASSERT_TRUE(coded.has_value());
  const Bytes body = joined(coded->segments());
  const Call good = call_of(*coded);
  ASSERT_TRUE(check_pictures(good, body.size()).has_value());
  constexpr auto kHuge = std::numeric_limits<std::uint64_t>::max();
  const std::function<void(Call&)> lies[] = {
      [](Call& call) { call.pictures[0].codec = "png"; },
      [](Call& call) { call.pictures[0].format = 4; },
      [](Call& call) { call.pictures[0].format = 77; },
      [](Call& call) { call.pictures[0].width = 0; },
      [](Call& call) { call.pictures[0].width = 65501; },
      [](Call& call) { call.pictures[0].height = 65500; },
      [](Call& call) { call.pictures[0].at = kHuge; },
      [](Call& call) { call.pictures[1].at = call.pictures[0].at; },
      [](Call& call) { call.pictures[1].at = kHuge - 10; },
      [](Call& call) { call.pictures[0].size = kHuge; },
      [](Call& call) { call.pictures[0].size += 1; },
      [](Call& call) { call.pictures[1].size = 0; },
      [](Call& call) { call.argument_bytes += 1; },
      [](Call& call) { call.argument_bytes = 0; },
      [](Call& call) { call.argument_bytes = kHuge; },
      [](Call& call) { std::swap(call.pictures[0], call.pictures[1]); },
      [](Call& call) { call.pictures.resize(kMaxPictures + 1, call.pictures[0]); },
  };
  std::size_t which = 0;
  for (const auto& lie : lies) {
    Call call = good;
    lie(call);
    const auto checked = check_pictures(call, body.size());
    EXPECT_FALSE(checked.has_value()) << "lie " << which;
    ++which;
  }
  EXPECT_FALSE(check_pictures(good, body.size() - 1).has_value());
  EXPECT_FALSE(check_pictures(good, 0).has_value());
  EXPECT_FALSE(check_pictures(good, kHuge).has_value());
}

TEST(CodedArguments, a_picture_that_is_another_than_was_said_is_corrupt) {
  const Image image = picture(160, 120);
  codec::Writer writer;
  codec::write_arguments(writer, image);
  const auto coded = CodedArguments::encode(writer, kCoding);
  ASSERT_TRUE(coded.has_value());
  Call call = call_of(*coded);
  std::swap(call.pictures[0].width, call.pictures[0].height);  // of the same number of bytes
  const auto decoded = at_the_handler(call, joined(coded->segments()));
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().code, Errc::corrupt);
  EXPECT_THAT(decoded.error().message, HasSubstr("160x120 in place of 120x160"));
}

}  // namespace
}  // namespace aloft::function
