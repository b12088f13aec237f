#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <aloft/codec.h>

namespace {

enum class Colour : std::int8_t { red = -3, green = 7 };

struct Point {
  float x = 0;
  float y = 0;
  bool operator==(const Point&) const = default;
};

struct Detection {
  Point centre;
  std::string label;
  std::optional<std::uint64_t> track;
  std::vector<Point> outline;
  Colour colour = Colour::green;
  bool operator==(const Detection&) const = default;
};

struct Empty {
  bool operator==(const Empty&) const = default;
};

}  // namespace

template <>
struct aloft::codec::Fields<Point> {
  static constexpr auto members = std::tuple{&Point::x, &Point::y};
};
template <>
struct aloft::codec::Fields<Detection> {
  static constexpr auto members =
      std::tuple{&Detection::centre, &Detection::label, &Detection::track, &Detection::outline,
                 &Detection::colour};
};
template <>
struct aloft::codec::Fields<Empty> {
  static constexpr auto members = std::tuple{};
};

namespace {

using aloft::Image;
using aloft::PixelFormat;
using aloft::codec::decode;
using aloft::codec::Reader;
using aloft::codec::Views;
using aloft::codec::Writer;
using nlohmann::json;

using Bytes = std::vector<std::byte>;

Bytes gathered(Writer& writer) {
  Bytes all;
  for (const auto segment : writer.segments())
    all.insert(all.end(), segment.begin(), segment.end());
  EXPECT_EQ(all.size(), writer.size());
  EXPECT_TRUE(writer.ok());
  return all;
}

template <class T>
Bytes encoded(const T& value) {
  Writer writer;
  aloft::codec::write(writer, value);
  return gathered(writer);
}

Bytes oracle(const json& value) {
  const std::vector<std::uint8_t> bytes = json::to_msgpack(value);
  const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
  return Bytes(data, data + bytes.size());
}

json parsed(const Bytes& bytes) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return json::from_msgpack(data, data + bytes.size());
}

template <class T>
Bytes packed(const std::vector<T>& elements) {
  const auto bytes = std::as_bytes(std::span(elements));
  json value = json::binary({});
  for (const std::byte byte : bytes)
    value.get_binary().push_back(std::to_integer<std::uint8_t>(byte));
  return oracle(value);
}

Bytes raw(std::initializer_list<int> values) {
  Bytes bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

template <class T>
void expect_round_trip(const T& value) {
  const aloft::Result<T> back = decode<T>(encoded(value));
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(*back, value);
}

// Every prefix of the value's bytes, and the bytes with one more, are refused.
template <class T>
void expect_only_whole(const T& value) {
  const Bytes bytes = encoded(value);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::unique_ptr<std::byte[]> exact(
        new std::byte[size]);  // so that a sanitizer sees a read beyond it
    std::copy_n(bytes.begin(), size, exact.get());
    const auto back = decode<T>(std::span(exact.get(), size));
    ASSERT_FALSE(back.has_value()) << "cut to " << size << " of " << bytes.size() << " bytes";
    EXPECT_EQ(back.error().code, aloft::Errc::protocol);
  }
  Bytes longer = bytes;
  longer.push_back(std::byte{0xc0});
  EXPECT_FALSE(decode<T>(longer).has_value());
}

template <class T>
std::string failure(const Bytes& bytes) {
  const auto back = decode<T>(bytes);
  return back ? "no failure" : back.error().message;
}

Detection a_detection() {
  return {{1.5F, -2.25F}, "person", 1234567890123, {{0, 1}, {2, 3}, {4, 5}}, Colour::red};
}

TEST(Codec, integers_are_written_in_the_shortest_form_as_the_oracle_does) {
  for (int bits = 0; bits < 64; ++bits) {
    for (const std::int64_t offset : {-1, 0, 1}) {
      const std::uint64_t large = (std::uint64_t{1} << bits) + static_cast<std::uint64_t>(offset);
      EXPECT_EQ(encoded(large), oracle(large));
      expect_round_trip(large);
      const auto small = -static_cast<std::int64_t>(large & 0x7fffffffffffffff);
      EXPECT_EQ(encoded(small), oracle(small));
      expect_round_trip(small);
    }
  }
  expect_round_trip(std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(encoded(std::numeric_limits<std::int64_t>::min()),
            oracle(std::numeric_limits<std::int64_t>::min()));
}

TEST(Codec, every_integer_type_keeps_its_whole_range) {
  const auto both_ends = []<class... T>(std::tuple<T...>) {
    (expect_round_trip(std::numeric_limits<T>::min()), ...);
    (expect_round_trip(std::numeric_limits<T>::max()), ...);
  };
  both_ends(std::tuple<char, signed char, unsigned char, short, unsigned short, int, unsigned, long,
                       unsigned long, long long, unsigned long long>{});
}

TEST(Codec, an_integer_outside_the_range_of_its_type_is_refused) {
  EXPECT_EQ(failure<std::uint8_t>(encoded(256)),
            "byte 0: an integer that is outside its type's range");
  EXPECT_EQ(failure<std::uint64_t>(encoded(-1)),
            "byte 0: an integer that is outside its type's range");
  EXPECT_EQ(failure<std::int32_t>(encoded(std::int64_t{1} << 31)),
            "byte 0: an integer that is outside its type's range");
  EXPECT_EQ(failure<std::int64_t>(encoded(std::uint64_t{1} << 63)),
            "byte 0: an integer that is outside its type's range");
  EXPECT_EQ(failure<Colour>(encoded(200)), "byte 0: an integer that is outside its type's range");
}

TEST(Codec, an_integer_in_a_longer_form_than_needed_is_read) {
  EXPECT_EQ(decode<std::uint8_t>(raw({0xcf, 0, 0, 0, 0, 0, 0, 0, 5})).value(), 5);
  EXPECT_EQ(decode<std::int8_t>(raw({0xd3, 255, 255, 255, 255, 255, 255, 255, 251})).value(), -5);
  EXPECT_EQ(decode<std::uint8_t>(raw({0xd1, 0, 200})).value(), 200);
}

TEST(Codec, floats_keep_their_bits) {
  for (const float value : {0.0F, -0.0F, 1.0F / 3, std::numeric_limits<float>::infinity()})
    expect_round_trip(value);
  for (const double value : {0.0, -0.0, 1.0 / 3, std::numeric_limits<double>::denorm_min()})
    expect_round_trip(value);
  const auto payload = std::bit_cast<float>(0x7fc12345U);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(decode<float>(encoded(payload)).value()), 0x7fc12345U);
  EXPECT_EQ(encoded(1.0 / 3), oracle(1.0 / 3));
  EXPECT_EQ(encoded(0.5F), raw({0xca, 0x3f, 0, 0, 0}));
  EXPECT_EQ(decode<double>(encoded(0.5F)).value(), 0.5);
}

TEST(Codec, strings_of_all_length_forms_are_the_oracle_s) {
  for (const std::size_t size : {0U, 1U, 31U, 32U, 255U, 256U, 65535U, 65536U}) {
    const std::string text(size, 'x');
    EXPECT_EQ(encoded(text), oracle(text)) << size;
    expect_round_trip(text);
    EXPECT_EQ(encoded(std::string_view(text)), oracle(text)) << size;
  }
}

TEST(Codec, a_sequence_of_numbers_is_bin_with_little_endian_elements) {
  EXPECT_EQ(encoded(std::vector<std::uint16_t>{1, 0x0203}), raw({0xc4, 4, 1, 0, 3, 2}));
  for (const std::size_t size : {0U, 63U, 64U, 20000U}) {
    std::vector<float> floats(size);
    for (std::size_t i = 0; i < size; ++i) floats[i] = static_cast<float>(i) / 3;
    EXPECT_EQ(encoded(floats), packed(floats));
    EXPECT_EQ(encoded(std::span<const float>(floats)), packed(floats));
    expect_round_trip(floats);
  }
  expect_round_trip(std::vector<char>{'a', '\xff'});
  expect_round_trip(std::vector<std::byte>{std::byte{0}, std::byte{255}});
  expect_round_trip(std::vector<std::size_t>{0, std::numeric_limits<std::size_t>::max()});
  expect_round_trip(std::array<double, 3>{1, 2, 3});
  EXPECT_EQ(encoded(std::array<std::uint8_t, 2>{7, 8}), raw({0xc4, 2, 7, 8}));
}

TEST(Codec, a_sequence_of_other_values_is_an_array_as_the_oracle_s) {
  for (const std::size_t size : {0U, 15U, 16U, 65536U}) {
    EXPECT_EQ(encoded(std::vector<std::string>(size, "ab")),
              oracle(json(std::vector<std::string>(size, "ab"))));
    EXPECT_EQ(encoded(std::vector<bool>(size, true)), oracle(json(std::vector<bool>(size, true))));
    expect_round_trip(std::vector<bool>(size, true));
  }
  EXPECT_EQ(encoded(std::array<bool, 2>{true, false}), oracle({true, false}));
  EXPECT_EQ(encoded(std::vector<Colour>{Colour::red, Colour::green}), oracle({-3, 7}));
}

TEST(Codec, compound_values_are_the_oracle_s) {
  const Detection detection = a_detection();
  EXPECT_EQ(
      parsed(encoded(detection)),
      json({{1.5, -2.25}, "person", 1234567890123, {{0.0, 1.0}, {2.0, 3.0}, {4.0, 5.0}}, -3}));
  EXPECT_EQ(encoded(std::optional<int>()), oracle(nullptr));
  EXPECT_EQ(encoded(std::optional<int>(5)), oracle(5));
  EXPECT_EQ(encoded(std::pair<int, std::string>(1, "b")), oracle(json::array({1, "b"})));
  EXPECT_EQ(encoded(std::tuple<int, bool, std::string>(1, true, "b")),
            oracle(json::array({1, true, "b"})));
  EXPECT_EQ(encoded(std::tuple<>()), oracle(json::array()));
  EXPECT_EQ(encoded(Empty{}), oracle(json::array()));
  std::map<std::string, int> map;
  for (int i = 0; i < 70000; i += 3500) map["key " + std::to_string(i)] = i;
  EXPECT_EQ(encoded(map), oracle(map));
}

TEST(Codec, compound_values_come_back) {
  expect_round_trip(a_detection());
  expect_round_trip(std::vector<Detection>(300, a_detection()));
  expect_round_trip(std::map<std::string, Detection>{{"a", a_detection()}, {"b", {}}});
  expect_round_trip(
      std::unordered_map<std::int32_t, std::vector<std::int16_t>>{{1, {2, 3}}, {-4, {}}});
  expect_round_trip(
      std::tuple<std::optional<std::string>, std::pair<char, double>, std::array<Colour, 2>>{
          "x", {'y', 0.5}, {Colour::red, Colour::green}});
  expect_round_trip(std::vector<std::vector<std::vector<std::uint8_t>>>{{{1, 2}, {}}, {}});
  expect_round_trip(Empty{});
}

TEST(Codec, an_image_comes_back_with_its_pixels) {
  Image image(20, 10, PixelFormat::rgb8);
  for (std::size_t i = 0; i < image.mutable_pixels().size(); ++i)
    image.mutable_pixels()[i] = static_cast<std::uint8_t>(i);
  Bytes bytes = encoded(image);
  EXPECT_EQ(parsed(bytes)[0], 20);
  EXPECT_EQ(parsed(bytes)[3].get_binary().size(), 600);
  const Image back = decode<Image>(bytes).value();
  EXPECT_EQ(back.width(), 20U);
  EXPECT_EQ(back.height(), 10U);
  EXPECT_EQ(back.format(), PixelFormat::rgb8);
  std::fill(bytes.begin(), bytes.end(), std::byte{0});  // it owns what it holds
  EXPECT_TRUE(std::ranges::equal(back.pixels(), image.pixels()));
  EXPECT_TRUE(decode<Image>(encoded(Image())).value().empty());
}

TEST(Codec, an_image_that_does_not_fit_its_pixels_is_refused) {
  const std::vector<std::uint8_t> pixels(12);
  const auto image = [&](std::uint64_t width, std::uint64_t height, int format) {
    return encoded(std::tuple(width, height, format, pixels));
  };
  EXPECT_TRUE(decode<Image>(image(2, 2, 2)).has_value());
  EXPECT_EQ(failure<Image>(image(2, 2, 9)), "byte 0: an image of an unknown pixel format");
  for (const Bytes& bytes : {image(2, 3, 2), image(0, 2, 2), image(2, 0, 2),
                             image(0xffffffff, 0xffffffff, 4), image(0x80000000, 2, 5)}) {
    EXPECT_EQ(failure<Image>(bytes),
              "byte 0: an image whose pixels do not have its width and height");
  }
}

TEST(Codec, bulk_is_pointed_at_and_small_things_are_gathered) {
  const std::vector<std::uint8_t> pixels(300 * 100 * 3, 1);
  const auto image = Image::borrow(300, 100, PixelFormat::bgr8, pixels);
  const std::string name(Writer::kBorrowFrom - 1, 'n');
  const std::vector<float> tensor(Writer::kBorrowFrom / sizeof(float), 0.5F);
  Writer writer;
  aloft::codec::write_arguments(writer, image, name, tensor, 7);
  const auto segments = writer.segments();
  ASSERT_EQ(segments.size(), 5U);
  EXPECT_EQ(static_cast<const void*>(segments[1].data()), pixels.data());
  EXPECT_EQ(static_cast<const void*>(segments[3].data()), tensor.data());
  EXPECT_EQ(segments[1].size(), pixels.size());
  EXPECT_EQ(segments[2].size(), 2 + name.size() + 3);
  EXPECT_EQ(segments[4].size(), 1U);
}

TEST(Codec, a_cleared_writer_starts_anew) {
  Writer writer;
  aloft::codec::write(writer, std::vector<std::uint8_t>(1000));
  EXPECT_EQ(writer.segments().size(), 2U);
  writer.clear();
  EXPECT_EQ(writer.size(), 0U);
  EXPECT_TRUE(writer.segments().empty());
  aloft::codec::write(writer, 5);
  EXPECT_EQ(gathered(writer), raw({5}));
}

TEST(Codec, views_point_at_the_bytes_that_were_read) {
  const std::vector<std::uint8_t> pixels(64, 9);
  Writer writer;
  aloft::codec::write_arguments(writer, std::string_view("hello"),
                                Image::borrow(8, 8, PixelFormat::gray8, pixels),
                                std::span<const std::uint8_t>(pixels));
  const Bytes bytes = gathered(writer);
  const auto within = [&](const void* p) {
    return p >= bytes.data() && p < bytes.data() + bytes.size();
  };
  Reader reader(bytes);
  std::tuple<std::string_view, Image, std::span<const std::uint8_t>> arguments;
  ASSERT_TRUE(aloft::codec::read_arguments(reader, arguments));
  EXPECT_EQ(std::get<0>(arguments), "hello");
  EXPECT_TRUE(within(std::get<0>(arguments).data()));
  EXPECT_TRUE(within(std::get<1>(arguments).pixels().data()));
  EXPECT_TRUE(within(std::get<2>(arguments).data()));
}

TEST(Codec, a_misaligned_view_is_of_an_aligned_copy) {
  const std::vector<double> numbers{1, 2, 3};
  const Bytes bytes = encoded(numbers);
  alignas(16) std::array<std::byte, 64> buffer;
  int in_place = 0;
  for (std::size_t shift = 0; shift < 8; ++shift) {
    std::copy(bytes.begin(), bytes.end(), buffer.begin() + static_cast<std::ptrdiff_t>(shift));
    Reader reader{std::span(buffer).subspan(shift, bytes.size())};
    std::span<const double> view;
    ASSERT_TRUE(aloft::codec::read(reader, view));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(view.data()) % alignof(double), 0U);
    EXPECT_TRUE(std::ranges::equal(view, numbers));
    in_place += static_cast<const void*>(view.data()) == buffer.data() + shift + 2;
  }
  EXPECT_EQ(in_place, 1);
}

TEST(Codec, a_view_of_compound_values_is_kept_by_the_reader) {
  const std::vector<Detection> detections(3, a_detection());
  const Bytes bytes = encoded(std::span<const Detection>(detections));
  Reader reader(bytes);
  std::span<const Detection> view;
  ASSERT_TRUE(aloft::codec::read(reader, view));
  EXPECT_TRUE(std::ranges::equal(view, detections));
}

TEST(Codec, truncated_bytes_are_refused_wherever_they_are_cut) {
  expect_only_whole(a_detection());
  expect_only_whole(std::vector<Detection>(20, a_detection()));
  expect_only_whole(
      std::map<std::string, std::vector<double>>{{"a", {1, 2}}, {std::string(300, 'k'), {}}});
  expect_only_whole(
      std::tuple<bool, char, std::uint64_t, float, double, std::optional<std::string>>{
          true, 'x', std::uint64_t{1} << 40, 1.0F, 2.0, "s"});
}

TEST(Codec, bytes_of_another_type_are_refused_by_name) {
  EXPECT_EQ(failure<std::string>(encoded(5)), "byte 0: expected a string, found an integer");
  EXPECT_EQ(failure<int>(encoded(1.0F)), "byte 0: expected an integer, found a float");
  EXPECT_EQ(failure<float>(encoded(1.0)), "byte 0: expected a 32-bit float, found a float");
  EXPECT_EQ(failure<bool>(encoded(1)), "byte 0: expected a boolean, found an integer");
  EXPECT_EQ(failure<std::vector<float>>(oracle({1.0, 2.0})),
            "byte 0: expected bytes, found an array");
  EXPECT_EQ(failure<std::vector<float>>(encoded(std::vector<std::uint8_t>(7))),
            "byte 0: bytes that are no whole number of elements");
  EXPECT_EQ(failure<Point>(oracle({0.1, 0.1})), "byte 1: expected a 32-bit float, found a float");
  EXPECT_EQ(failure<Point>(oracle({1})), "byte 0: an array of another length");
  EXPECT_EQ(failure<std::string>({}), "byte 0: expected a string, found the end");
  EXPECT_EQ(failure<std::string>(raw({0xc1})),
            "byte 0: expected a string, found a tag that is not used here");
  EXPECT_EQ(failure<int>(raw({0xd5, 1, 2})),
            "byte 0: expected an integer, found a tag that is not used here");
  EXPECT_EQ((failure<std::pair<int, std::optional<int>>>(raw({0x92, 1}))),
            "byte 2: expected an integer, found the end");
  EXPECT_EQ(failure<int>(raw({1, 2})), "byte 1: more bytes than the value has");
  EXPECT_EQ((failure<std::map<int, int>>(raw({0x82, 1, 1, 1, 2}))),
            "byte 3: a key that was there before");
}

TEST(Codec, a_huge_length_is_refused_before_anything_is_allocated) {
  const auto huge = [](int tag) { return raw({tag, 0xff, 0xff, 0xff, 0xff, 0}); };
  const std::string why = "a length that the bytes cannot back";
  EXPECT_EQ(failure<std::string>(huge(0xdb)), "byte 5: " + why);
  EXPECT_EQ(failure<std::vector<std::uint8_t>>(huge(0xc6)), "byte 5: " + why);
  EXPECT_EQ(failure<std::vector<std::string>>(huge(0xdd)), "byte 0: " + why);
  EXPECT_EQ(failure<std::vector<bool>>(huge(0xdd)), "byte 0: " + why);
  EXPECT_EQ((failure<std::map<int, int>>(huge(0xdf))), "byte 0: " + why);
  const Bytes bytes = huge(0xdd);
  Reader reader(bytes);
  std::span<const Point> view;
  EXPECT_FALSE(aloft::codec::read(reader, view));
}

TEST(Codec, random_bytes_never_do_more_than_fail) {
  std::mt19937 random(1);
  const Bytes good = encoded(std::vector<Detection>(4, a_detection()));
  int taken = 0;
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes = good;
    for (auto flips = 1 + random() % 3; flips > 0; --flips) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    const auto back = decode<std::vector<Detection>>(bytes);
    if (!back) continue;
    ++taken;
    EXPECT_EQ(encoded(decode<std::vector<Detection>>(encoded(*back)).value()), encoded(*back));
  }
  EXPECT_GT(taken, 0);
  EXPECT_LT(taken, 20000);
}

TEST(Codec, random_values_come_back) {
  std::mt19937_64 random(2);
  const auto text = [&] {
    return std::string(random() % 40, static_cast<char>('a' + random() % 26));
  };
  for (int round = 0; round < 2000; ++round) {
    std::map<std::string,
             std::tuple<std::int64_t, std::vector<std::uint32_t>, std::optional<double>, Detection>>
        value;
    for (std::uint64_t n = random() % 5; n > 0; --n) {
      auto& [number, elements, ratio, detection] = value[text()];
      number = static_cast<std::int64_t>(random() >> random() % 64);
      elements.assign(random() % 100, static_cast<std::uint32_t>(random()));
      if (random() % 2) ratio = static_cast<double>(random()) / 7;
      detection.label = text();
      detection.outline.resize(random() % 4);
    }
    expect_round_trip(value);
  }
}

}  // namespace
