#include "image/jpeg.h"

#include <cmath>
#include <cstdlib>
#include <random>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <turbojpeg.h>

namespace aloft::image {
namespace {

using ::testing::HasSubstr;
using Pixels = std::vector<std::byte>;

// Soft slopes and some edges, as a picture of the world has.
Pixels picture(const Shape& shape) {
  Pixels pixels(shape.bytes());
  const std::uint32_t of_pixel = channels(shape.format);
  for (std::uint32_t y = 0; y < shape.height; ++y) {
    for (std::uint32_t x = 0; x < shape.width; ++x) {
      for (std::uint32_t c = 0; c < of_pixel; ++c) {
        const double slope = 100 + 60 * std::sin(x * 0.05 + c) + 40 * std::cos(y * 0.07);
        const bool edge = (x / 40 + y / 40) % 2 == 0;
        pixels[(std::size_t{y} * shape.width + x) * of_pixel + c] =
            static_cast<std::byte>(slope + (edge ? 30 : 0));
      }
    }
  }
  return pixels;
}

double mean_difference(const Pixels& a, const Pixels& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    sum += std::abs(std::to_integer<int>(a[i]) - std::to_integer<int>(b[i]));
  return sum / static_cast<double>(a.size());
}

Pixels encoded(const Shape& shape, int quality = 90) {
  Pixels jpeg;
  EXPECT_TRUE(JpegEncoder().encode(picture(shape), shape, quality, jpeg).has_value());
  return jpeg;
}

std::optional<Error> failure(std::span<const std::byte> jpeg, const Shape& shape) {
  Pixels pixels(shape.bytes());
  const auto decoded = JpegDecoder().decode(jpeg, shape, pixels);
  return decoded ? std::nullopt : std::optional(decoded.error());
}

// The place of the byte after 0xff `marker`.
std::size_t after(const Pixels& jpeg, std::uint8_t marker) {
  for (std::size_t i = 0; i + 1 < jpeg.size(); ++i) {
    if (jpeg[i] == std::byte{0xff} && jpeg[i + 1] == std::byte{marker}) return i + 2;
  }
  ADD_FAILURE() << "no such marker";
  return 0;
}

constexpr Shape kColour{200, 120, PixelFormat::bgr8};

TEST(Jpeg, a_picture_comes_back_with_its_size_and_nearly_its_pixels) {
  for (const PixelFormat format : {PixelFormat::gray8, PixelFormat::bgr8, PixelFormat::rgb8}) {
    for (const auto& [width, height] : {std::pair{1U, 1U}, {17U, 3U}, {200U, 120U}}) {
      const Shape shape{width, height, format};
      const Pixels jpeg = encoded(shape, 95);
      Pixels back(shape.bytes());
      const auto decoded = JpegDecoder().decode(jpeg, shape, back);
      ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
      EXPECT_LT(mean_difference(picture(shape), back), 6) << width << "x" << height;
    }
  }
}

TEST(Jpeg, a_lower_quality_takes_fewer_bytes) {
  EXPECT_LT(encoded(kColour, 50).size(), encoded(kColour, 80).size());
  EXPECT_LT(encoded(kColour, 80).size(), encoded(kColour, 95).size());
  EXPECT_LT(encoded(kColour, 95).size(), kColour.bytes() / 4);
}

TEST(Jpeg, what_there_is_no_room_for_is_not_encoded) {
  Pixels out;
  JpegEncoder encoder;
  const auto refuses = [&](const Shape& shape, std::size_t bytes, int quality) {
    const auto done = encoder.encode(Pixels(bytes), shape, quality, out);
    return !done && done.error().code == Errc::invalid_argument;
  };
  EXPECT_TRUE(refuses({4, 4, PixelFormat::bgra8}, 64, 90));  // it has no place for transparency
  EXPECT_TRUE(refuses({0, 4, PixelFormat::bgr8}, 0, 90));
  EXPECT_TRUE(refuses({4, 4, PixelFormat::bgr8}, 47, 90));
  EXPECT_TRUE(refuses({4, 4, PixelFormat::bgr8}, 48, 0));
  EXPECT_TRUE(refuses({4, 4, PixelFormat::bgr8}, 48, 101));
  EXPECT_TRUE(out.empty());
}

TEST(Jpeg, one_of_another_size_than_was_said_is_corrupt_before_it_is_decoded) {
  const Pixels jpeg = encoded(kColour);
  Shape larger = kColour;
  larger.width = 201;
  EXPECT_THAT(failure(jpeg, larger)->message, HasSubstr("it is 200x120 in place of 201x120"));

  // A bomb: a few bytes that say that they are a picture of 65500x65500.
  Pixels bomb = jpeg;
  const std::size_t frame = after(bomb, 0xc0);
  for (const std::size_t side : {frame + 3, frame + 5}) {
    bomb[side] = std::byte{0xff};
    bomb[side + 1] = std::byte{0xdc};
  }
  EXPECT_EQ(failure(bomb, kColour)->code, Errc::corrupt);
  EXPECT_THAT(check_jpeg(bomb, kColour).error().message, HasSubstr("65500x65500"));
}

TEST(Jpeg, one_of_another_format_than_was_said_is_corrupt) {
  const Shape gray{200, 120, PixelFormat::gray8};
  EXPECT_EQ(failure(encoded(gray), kColour)->code, Errc::corrupt);
  EXPECT_EQ(failure(encoded(kColour), gray)->code, Errc::corrupt);
}

TEST(Jpeg, a_progressive_one_is_refused_since_it_takes_time_and_memory_without_measure) {
  const Pixels pixels = picture(kColour);
  unsigned char* jpeg = nullptr;
  unsigned long size = 0;
  tjhandle handle = tjInitCompress();
  ASSERT_EQ(tjCompress2(handle, reinterpret_cast<const unsigned char*>(pixels.data()), 200, 0, 120,
                        TJPF_BGR, &jpeg, &size, TJSAMP_420, 90, TJFLAG_PROGRESSIVE),
            0);
  const std::span bytes(reinterpret_cast<const std::byte*>(jpeg), size);
  EXPECT_THAT(failure(bytes, kColour)->message, HasSubstr("no baseline JPEG"));
  tjFree(jpeg);
  tjDestroy(handle);
}

TEST(Jpeg, a_scan_of_some_components_only_is_refused) {
  Pixels jpeg = encoded(kColour);
  jpeg[after(jpeg, 0xda) + 2] = std::byte{1};
  EXPECT_THAT(failure(jpeg, kColour)->message, HasSubstr("not all of its components"));
}

TEST(Jpeg, an_unusual_subsampling_is_refused) {
  Pixels jpeg = encoded(kColour);
  jpeg[after(jpeg, 0xc0) + 9] = std::byte{0x44};
  EXPECT_THAT(failure(jpeg, kColour)->message, HasSubstr("components"));
}

TEST(Jpeg, one_that_is_cut_anywhere_is_corrupt) {
  const Pixels jpeg = encoded(kColour);
  for (std::size_t size = 0; size + 2 < jpeg.size(); size += size < 700 ? 1 : 97) {
    const auto why = failure(std::span(jpeg).first(size), kColour);
    ASSERT_TRUE(why.has_value()) << size;
    EXPECT_EQ(why->code, Errc::corrupt) << size;
  }
}

TEST(Jpeg, changed_and_random_bytes_are_decoded_or_corrupt_and_nothing_else_happens) {
  const Pixels jpeg = encoded(kColour);
  std::mt19937 random(7);
  std::size_t refused = 0;
  for (int round = 0; round < 2000; ++round) {
    Pixels changed = jpeg;
    for (int i = 0; i < 1 + round % 8; ++i)
      changed[random() % changed.size()] = static_cast<std::byte>(random());
    // The bytes behind the picture's are not written.
    Pixels pixels(kColour.bytes() + 64, std::byte{0x5a});
    const auto decoded =
        JpegDecoder().decode(changed, kColour, std::span(pixels).first(kColour.bytes()));
    if (!decoded) {
      ++refused;
      EXPECT_EQ(decoded.error().code, Errc::corrupt) << decoded.error().message;
    }
    for (std::size_t i = kColour.bytes(); i < pixels.size(); ++i)
      ASSERT_EQ(pixels[i], std::byte{0x5a});
  }
  EXPECT_GT(refused, 100U);
}

}  // namespace
}  // namespace aloft::image
