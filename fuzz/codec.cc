// Fuzz target: encoded arguments and results, as a peer or a guest may send them.
//
// The first byte of the input chooses the type. What must hold beyond not crashing: a value that
// was read is written so that it is read again the same, whether its parts are owned or borrowed.
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "input.h"
#include <aloft/codec.h>
#include <aloft/image.h>

namespace aloft::fuzz {

enum class Colour : std::uint8_t { red, green, blue };
struct Point {
  float x = 0;
  double y = 0;
};
struct Shape {
  std::string name;
  Colour colour = Colour::red;
  std::vector<Point> points;
  std::optional<std::pair<std::int8_t, std::uint16_t>> range;
  std::map<std::string, std::vector<std::int32_t>> table;
};

}  // namespace aloft::fuzz

template <>
struct aloft::codec::Fields<aloft::fuzz::Point> {
  static constexpr auto members = std::tuple{&aloft::fuzz::Point::x, &aloft::fuzz::Point::y};
};
template <>
struct aloft::codec::Fields<aloft::fuzz::Shape> {
  static constexpr auto members = std::tuple{
      &aloft::fuzz::Shape::name, &aloft::fuzz::Shape::colour, &aloft::fuzz::Shape::points,
      &aloft::fuzz::Shape::range, &aloft::fuzz::Shape::table};
};

namespace aloft::fuzz {
namespace {

std::vector<std::byte> bytes_of(codec::Writer& writer) {
  std::vector<std::byte> bytes;
  for (const auto segment : writer.segments())
    bytes.insert(bytes.end(), segment.begin(), segment.end());
  return bytes;
}

// One value. Bytes are compared rather than values, since a NaN is not equal to itself.
template <class T>
void value(Input input) {
  const auto read = codec::decode<T>(input);
  if (!read) return;
  codec::Writer writer;
  codec::write(writer, *read);
  const auto bytes = bytes_of(writer);
  const auto again = codec::decode<T>(bytes);
  require(again.has_value(), "a value that was written can be read");
  codec::Writer second;
  codec::write(second, *again);
  require(bytes_of(second) == bytes, "a value is written as it was read");
}

// Arguments of one call, which may be views of the input.
template <class... P>
void arguments(Input input) {
  codec::Reader reader(input);
  std::tuple<P...> read;
  if (!codec::read_arguments(reader, read)) return;
  codec::Writer writer;
  std::apply([&](const P&... each) { codec::write_arguments(writer, each...); }, read);
  const auto bytes = bytes_of(writer);
  codec::Reader again(bytes);
  std::tuple<P...> same;
  require(codec::read_arguments(again, same), "arguments that were written can be read");
  codec::Writer second;
  std::apply([&](const P&... each) { codec::write_arguments(second, each...); }, same);
  require(bytes_of(second) == bytes, "arguments are written as they were read");
}

}  // namespace
}  // namespace aloft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aloft::fuzz;
  Input input = std::as_bytes(std::span(data, size));
  switch (take_byte(input) % 12) {
    case 0: value<Shape>(input); break;
    case 1: value<std::vector<Shape>>(input); break;
    case 2: value<std::vector<std::uint64_t>>(input); break;
    case 3: value<std::array<float, 3>>(input); break;
    case 4: value<std::optional<std::string>>(input); break;
    // The order in which this one is written is its own.
    case 5: (void)aloft::codec::decode<std::unordered_map<std::int32_t, std::string>>(input); break;
    case 6: value<std::tuple<bool, char, std::int64_t, long, double>>(input); break;
    case 7: value<std::vector<std::vector<std::vector<bool>>>>(input); break;
    case 8: arguments<aloft::Image>(input); break;
    case 9: arguments<std::string_view, std::span<const float>, int>(input); break;
    case 10: arguments<Shape, std::span<const std::byte>>(input); break;
    default: arguments<>(input); break;
  }
  return 0;
}
