// The codec of single values: numbers, enumerations, strings, aggregates, images. See codec.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <variant>

#include <aloft/codec/reader.h>
#include <aloft/codec/writer.h>
#include <aloft/image.h>

namespace aloft::codec {

// The members of an aggregate, in the order they are written:
//   template <> struct Fields<Detection> { static constexpr auto members =
//   std::tuple{&Detection::box, &Detection::score}; };
template <class T>
struct Fields;

// write(Writer&, const T&), read(Reader&, T&), and the least number of bytes that a T takes.
template <class T>
struct Codec {
  static_assert(sizeof(T) == 0,
                "this type cannot be an argument or a result of an elastic function");
};

template <>
struct Codec<bool> {
  static constexpr std::size_t min_bytes = 1;
  static void write(Writer& writer, bool value) { writer.boolean(value); }
  static bool read(Reader& reader, bool& value) { return reader.boolean(value); }
};

// The result of a function that has none: nil.
template <>
struct Codec<std::monostate> {
  static constexpr std::size_t min_bytes = 1;
  static void write(Writer& writer, std::monostate /*nothing*/) { writer.nil(); }
  static bool read(Reader& reader, std::monostate& /*nothing*/) { return reader.nil(); }
};

// A char is a byte: whether it is signed differs between machines.
template <>
struct Codec<char> {
  static constexpr std::size_t min_bytes = 1;
  static void write(Writer& writer, char value) {
    writer.unsigned_integer(static_cast<unsigned char>(value));
  }
  static bool read(Reader& reader, char& value) {
    unsigned char byte = 0;
    if (!reader.integer(byte)) return false;
    value = static_cast<char>(byte);
    return true;
  }
};

// The integers, without the character types that are none.
template <class T>
concept Integer = std::is_integral_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, char> &&
                  !std::is_same_v<T, wchar_t> && !std::is_same_v<T, char8_t> &&
                  !std::is_same_v<T, char16_t> && !std::is_same_v<T, char32_t> && sizeof(T) <= 8;

template <Integer T>
struct Codec<T> {
  static constexpr std::size_t min_bytes = 1;
  static void write(Writer& writer, T value) {
    if constexpr (std::is_signed_v<T>) {
      writer.signed_integer(value);
    } else {
      writer.unsigned_integer(value);
    }
  }
  static bool read(Reader& reader, T& value) { return reader.integer(value); }
};

template <>
struct Codec<float> {
  static constexpr std::size_t min_bytes = 5;
  static void write(Writer& writer, float value) { writer.float32(value); }
  static bool read(Reader& reader, float& value) { return reader.float32(value); }
};

template <>
struct Codec<double> {
  static constexpr std::size_t min_bytes = 5;
  static void write(Writer& writer, double value) { writer.float64(value); }
  static bool read(Reader& reader, double& value) { return reader.float64(value); }
};

template <class T>
  requires std::is_enum_v<T>
struct Codec<T> {
  using Number = std::underlying_type_t<T>;
  static constexpr std::size_t min_bytes = 1;
  static void write(Writer& writer, T value) {
    Codec<Number>::write(writer, static_cast<Number>(value));
  }
  static bool read(Reader& reader, T& value) {
    Number number{};
    if (!Codec<Number>::read(reader, number)) return false;
    value = static_cast<T>(number);
    return true;
  }
};

template <>
struct Codec<std::string> {
  static constexpr std::size_t min_bytes = 1;
  static void write(Writer& writer, const std::string& value) { writer.string(value); }
  static bool read(Reader& reader, std::string& value) {
    std::string_view text;
    if (!reader.string(text)) return false;
    value.assign(text);
    return true;
  }
};

template <>
struct Codec<std::string_view> {
  static constexpr std::size_t min_bytes = 1;
  static void write(Writer& writer, std::string_view value) { writer.string(value); }
  static bool read(Reader& reader, std::string_view& value) { return reader.string(value); }
};

// [width, height, format, bin pixels]
template <>
struct Codec<Image> {
  static constexpr std::size_t min_bytes = 6;
  static void write(Writer& writer, const Image& image) {
    writer.array(4);
    writer.unsigned_integer(image.width());
    writer.unsigned_integer(image.height());
    writer.unsigned_integer(static_cast<std::uint8_t>(image.format()));
    writer.pixels(image.width(), image.height(), static_cast<std::uint8_t>(image.format()),
                  std::as_bytes(image.pixels()));
  }
  static bool read(Reader& reader, Image& image) {
    const std::size_t start = reader.at();
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    std::uint8_t number = 0;
    std::span<const std::byte> data;
    if (!reader.array_of(4) || !reader.integer(width) || !reader.integer(height) ||
        !reader.integer(number) || !reader.binary(data)) {
      return false;
    }
    const auto format = static_cast<PixelFormat>(number);
    if (channels(format) == 0) return reader.fail(start, "an image of an unknown pixel format");
    const std::uint64_t stride = std::uint64_t{width} * channels(format);
    const bool whole =
        stride == 0 ? data.empty() : data.size() / stride == height && data.size() % stride == 0;
    if (!whole) return reader.fail(start, "an image whose pixels do not have its width and height");
    const std::span pixels(reinterpret_cast<const std::uint8_t*>(data.data()), data.size());
    if (reader.views() == Views::borrow) {
      image = Image::borrow(width, height, format, pixels);
    } else {
      image = Image(width, height, format, std::vector<std::uint8_t>(pixels.begin(), pixels.end()));
    }
    return true;
  }
};

// An aggregate is an array of its members.
template <class T>
  requires requires { Fields<T>::members; }
struct Codec<T> {
  template <class M>
  using Member = std::remove_reference_t<decltype(std::declval<T&>().*std::declval<M>())>;

  static constexpr std::size_t min_bytes = std::apply(
      [](auto... member) {
        return (std::size_t{1} + ... + Codec<Member<decltype(member)>>::min_bytes);
      },
      Fields<T>::members);

  static void write(Writer& writer, const T& value) {
    writer.array(std::tuple_size_v<decltype(Fields<T>::members)>);
    std::apply(
        [&](auto... member) {
          (Codec<Member<decltype(member)>>::write(writer, value.*member), ...);
        },
        Fields<T>::members);
  }
  static bool read(Reader& reader, T& value) {
    return reader.array_of(std::tuple_size_v<decltype(Fields<T>::members)>) &&
           std::apply(
               [&](auto... member) {
                 return (Codec<Member<decltype(member)>>::read(reader, value.*member) && ...);
               },
               Fields<T>::members);
  }
};

}  // namespace aloft::codec
