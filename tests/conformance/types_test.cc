// Every type that may cross: a thousand random values each, to a guest and back.
#include <cstdint>
#include <limits>

#include "world.h"

namespace aloft::testing {
namespace {

using conformance::Colour;
using conformance::Point;
using conformance::Track;

class Bool : public ConformanceTest {};
class Int : public ConformanceTest {};
class Float : public ConformanceTest {};
class Char : public ConformanceTest {};
class Enum : public ConformanceTest {};
class String : public ConformanceTest {};
class Bytes : public ConformanceTest {};
class List : public ConformanceTest {};
class Array : public ConformanceTest {};
class Optional : public ConformanceTest {};
class Tuple : public ConformanceTest {};
class Map : public ConformanceTest {};
class Struct : public ConformanceTest {};
class Image : public ConformanceTest {};
class None : public ConformanceTest {};

TEST_F(Bool, values_come_back_inverted) {
  expect_of_a_thousand<bool>(
      {false, true}, [](Random& random) { return random.boolean(); },
      [](bool value) { return conformance::invert_async(value); },
      [](bool value) { return !value; });
}

template <class T, class Call>
void expect_the_next(const Call& call) {
  using Limits = std::numeric_limits<T>;
  std::vector<T> corners{Limits::min(), Limits::max(), 0, 1, 127};
  for (const std::int64_t corner :
       {-1L, -32L, -33L, -128L, -129L, 128L, 255L, 256L, -32769L, 65535L})
    corners.push_back(static_cast<T>(corner));
  expect_of_a_thousand<T>(
      corners, [](Random& random) { return random.integer<T>(); }, call,
      [](T value) { return value == Limits::max() ? Limits::min() : static_cast<T>(value + 1); });
}

TEST_F(Int, of_8_bits_come_back_one_larger) {
  expect_the_next<std::int8_t>([](std::int8_t v) { return conformance::next_i8_async(v); });
  expect_the_next<std::uint8_t>([](std::uint8_t v) { return conformance::next_u8_async(v); });
}
TEST_F(Int, of_16_bits_come_back_one_larger) {
  expect_the_next<std::int16_t>([](std::int16_t v) { return conformance::next_i16_async(v); });
  expect_the_next<std::uint16_t>([](std::uint16_t v) { return conformance::next_u16_async(v); });
}
TEST_F(Int, of_32_bits_come_back_one_larger) {
  expect_the_next<std::int32_t>([](std::int32_t v) { return conformance::next_i32_async(v); });
  expect_the_next<std::uint32_t>([](std::uint32_t v) { return conformance::next_u32_async(v); });
}
TEST_F(Int, of_64_bits_come_back_one_larger) {
  expect_the_next<std::int64_t>([](std::int64_t v) { return conformance::next_i64_async(v); });
  expect_the_next<std::uint64_t>([](std::uint64_t v) { return conformance::next_u64_async(v); });
}

template <class T>
std::vector<T> float_corners() {
  using Limits = std::numeric_limits<T>;
  return {T(0),
          -T(0),
          T(1),
          Limits::min(),
          Limits::denorm_min(),
          Limits::max(),
          Limits::lowest(),
          Limits::infinity(),
          -Limits::infinity(),
          Limits::quiet_NaN()};
}

TEST_F(Float, of_32_bits_come_back_halved) {
  expect_of_a_thousand<float>(
      float_corners<float>(),
      [](Random& random) { return random.floating<float, std::uint32_t>(); },
      [](float value) { return conformance::half_f32_async(value); },
      [](float value) { return value * 0.5F; });
}
TEST_F(Float, of_64_bits_come_back_halved) {
  expect_of_a_thousand<double>(
      float_corners<double>(),
      [](Random& random) { return random.floating<double, std::uint64_t>(); },
      [](double value) { return conformance::half_f64_async(value); },
      [](double value) { return value * 0.5; });
}

TEST_F(Char, values_come_back_one_larger) {
  expect_of_a_thousand<char>(
      {'\0', 'a', '\x7f', '\x80', '\xff'}, [](Random& random) { return random.integer<char>(); },
      [](char value) { return conformance::next_char_async(value); },
      [](char value) { return static_cast<char>(static_cast<unsigned char>(value) + 1); });
}
TEST_F(Char, bytes_come_back_as_their_complement) {
  expect_of_a_thousand<std::byte>(
      {std::byte{0}, std::byte{255}},
      [](Random& random) { return std::byte{random.integer<std::uint8_t>()}; },
      [](std::byte value) { return conformance::complement_async(value); },
      [](std::byte value) { return ~value; });
}

Colour colour_after(Colour colour) {
  if (colour == Colour::red) return Colour::green;
  return colour == Colour::green ? Colour::blue : Colour::red;
}
TEST_F(Enum, values_come_back_as_the_following_one) {
  expect_of_a_thousand<Colour>(
      {Colour::red, Colour::green, Colour::blue},
      [](Random& random) {
        return std::array{Colour::red, Colour::green,
                          Colour::blue}[random.integer<std::uint8_t>() % 3];
      },
      [](Colour value) { return conformance::following_async(value); }, &colour_after);
}

TEST_F(String, of_any_bytes_come_back_reversed) {
  expect_of_a_thousand<std::string>(
      {"", "a", "Grüße", std::string(31, 'x'), std::string(32, 'x'), std::string(256, '\xff')},
      [](Random& random) { return random.text(); },
      [](const std::string& value) { return conformance::reversed_async(value); },
      [](const std::string& value) { return std::string(value.rbegin(), value.rend()); });
}

TEST_F(Bytes, come_back_reversed) {
  using Value = std::vector<std::uint8_t>;
  expect_of_a_thousand<Value>(
      {{}, {1}, Value(255, 7), Value(256, 7), Value(1'000'000, 9)},
      [](Random& random) {
        const std::string text = random.text();
        return Value(text.begin(), text.end());
      },
      [](const Value& value) { return conformance::reversed_bytes_async(value); },
      [](const Value& value) { return Value(value.rbegin(), value.rend()); });
}

TEST_F(List, of_integers_come_back_as_their_sums) {
  using Value = std::vector<std::int32_t>;
  expect_of_a_thousand<Value>(
      {{}, {1}, Value(70'000, -3)},
      [](Random& random) {
        Value value(random.length());
        for (std::int32_t& number : value) number = random.integer<std::int32_t>();
        return value;
      },
      [](const Value& value) { return conformance::sums_async(value); },
      [](const Value& value) {
        Value sums;
        std::uint32_t sum = 0;
        for (const std::int32_t number : value)
          sums.push_back(static_cast<std::int32_t>(sum += static_cast<std::uint32_t>(number)));
        return sums;
      });
}
TEST_F(List, of_floats_come_back_halved) {
  using Value = std::vector<double>;
  expect_of_a_thousand<Value>(
      {{}, float_corners<double>()},
      [](Random& random) {
        Value value(random.length());
        for (double& number : value) number = random.floating<double, std::uint64_t>();
        return value;
      },
      [](const Value& value) { return conformance::halves_async(value); },
      [](const Value& value) {
        Value halves;
        for (const double number : value) halves.push_back(number * 0.5);
        return halves;
      });
}
TEST_F(List, of_strings_come_back_from_last_to_first) {
  using Value = std::vector<std::string>;
  expect_of_a_thousand<Value>(
      {{}, {""}, Value(15, "a"), Value(16, "b"), Value(70'000, "c")},
      [](Random& random) {
        Value value(random.integer<std::uint8_t>() % 20);
        for (std::string& word : value) word = random.word();
        return value;
      },
      [](const Value& value) { return conformance::backwards_async(value); },
      [](const Value& value) { return Value(value.rbegin(), value.rend()); });
}

TEST_F(Array, values_come_back_rotated) {
  using Value = std::array<float, 3>;
  expect_of_a_thousand<Value>(
      {{1, 2, 3}},
      [](Random& random) {
        Value value{};
        for (float& number : value) number = random.floating<float, std::uint32_t>();
        return value;
      },
      [](const Value& value) { return conformance::rotated_async(value); },
      [](const Value& value) { return Value{value[1], value[2], value[0]}; });
}

TEST_F(Optional, values_come_back_as_their_opposite) {
  using Value = std::optional<std::int32_t>;
  expect_of_a_thousand<Value>(
      {std::nullopt, 0, 1, std::numeric_limits<std::int32_t>::min()},
      [](Random& random) {
        return random.boolean() ? Value(random.integer<std::int32_t>()) : Value();
      },
      [](const Value& value) { return conformance::opposite_async(value); },
      [](const Value& value) {
        if (!value) return Value(0);
        if (*value == 0) return Value();
        return Value(static_cast<std::int32_t>(-static_cast<std::uint32_t>(*value)));
      });
}

TEST_F(Tuple, values_come_back_swapped) {
  using Value = std::tuple<std::int32_t, std::string>;
  expect_of_a_thousand<Value>(
      {}, [](Random& random) { return Value{random.integer<std::int32_t>(), random.text()}; },
      [](const Value& value) { return conformance::swapped_async(value); },
      [](const Value& value) { return std::tuple{std::get<1>(value), std::get<0>(value)}; });
}

TEST_F(Map, values_come_back_doubled) {
  using Value = std::map<std::string, std::int64_t>;
  expect_of_a_thousand<Value>(
      {{}, {{"", 1}}, {{"b", 1}, {"a", 2}}},
      [](Random& random) {
        Value value;
        for (std::size_t i = random.integer<std::uint8_t>() % 24; i > 0; --i)
          value[random.word()] = random.integer<std::int64_t>();
        return value;
      },
      [](const Value& value) { return conformance::doubled_async(value); },
      [](Value value) {
        for (auto& [key, number] : value)
          number = static_cast<std::int64_t>(static_cast<std::uint64_t>(number) * 2);
        return value;
      });
}

TEST_F(Struct, values_come_back_moved) {
  using Value = std::pair<Track, Point>;
  const auto coordinate = [](Random& random) {
    return static_cast<float>(random.integer<std::int16_t>()) / 8.0F;
  };
  const auto point = [&](Random& random) { return Point{coordinate(random), coordinate(random)}; };
  expect_of_a_thousand<Value>(
      {{Track{}, Point{}}},
      [&](Random& random) {
        Value value;
        value.first.id = random.integer<std::uint64_t>();
        value.first.label = random.word();
        value.first.at = point(random);
        value.first.path.resize(random.integer<std::uint8_t>() % 20);
        for (Point& at : value.first.path) at = point(random);
        if (random.boolean()) value.first.speed = coordinate(random);
        value.second = point(random);
        return value;
      },
      [](const Value& value) { return conformance::moved_async(value.first, value.second); },
      [](const Value& value) {
        Track track = value.first;
        track.path.push_back(track.at);
        track.at.x += value.second.x;
        track.at.y += value.second.y;
        return track;
      });
}

[[nodiscard]] bool same_images(const aloft::Image& a, const aloft::Image& b) {
  return a.width() == b.width() && a.height() == b.height() && a.format() == b.format() &&
         std::ranges::equal(a.pixels(), b.pixels());
}

TEST_F(Image, values_of_every_format_come_back_as_their_negative) {
  Random random;
  constexpr std::array kFormats = {PixelFormat::gray8, PixelFormat::bgr8, PixelFormat::rgb8,
                                   PixelFormat::bgra8, PixelFormat::rgba8};
  for (int i = 0; i < 1000; ++i) {
    const bool is_large = i == 0;
    const std::uint32_t width = is_large ? 1280 : random.integer<std::uint8_t>() % 20U;
    const std::uint32_t height = is_large ? 720 : random.integer<std::uint8_t>() % 20U;
    aloft::Image image(width, height, kFormats[static_cast<std::size_t>(i) % kFormats.size()]);
    aloft::Image negative = image;
    for (std::size_t at = 0; at < image.pixels().size(); ++at) {
      image.mutable_pixels()[at] = random.integer<std::uint8_t>();
      negative.mutable_pixels()[at] = static_cast<std::uint8_t>(255 - image.pixels()[at]);
    }
    auto call = conformance::negative_async(image);
    const auto result = result_at_place(call);
    ASSERT_TRUE(result) << result.error().message;
    ASSERT_TRUE(same_images(*result, negative)) << width << "x" << height;
  }
}

TEST_F(None, a_function_without_parameters_says_which_language_it_is) {
  auto call = conformance::language_async();
  const auto result = result_at_place(call);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(*result, guest_language());
}
TEST_F(None, a_function_without_a_result_ends) {
  auto call = conformance::say_async("nothing comes back");
  const auto result = result_at_place(call);
  EXPECT_TRUE(result) << result.error().message;
}

}  // namespace
}  // namespace aloft::testing
