// What a guest SDK has to be able to do, as an interface: a function for each type that may cross,
// for each way in which a call may end, and a class with a state. The guests of all languages
// implement this header, and one suite calls them.
//
// Each function changes what it gets, so that a guest passes only if it has read the value and
// written one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <aloft/image.h>
#include <aloft/nn.h>
#include <aloft/object.h>
#include <aloft/offload.h>

namespace conformance {

// --- Types
ALOFT_OFFLOAD bool invert(bool value);

// The next number; after the largest comes the smallest.
ALOFT_OFFLOAD std::int8_t next_i8(std::int8_t value);
ALOFT_OFFLOAD std::int16_t next_i16(std::int16_t value);
ALOFT_OFFLOAD std::int32_t next_i32(std::int32_t value);
ALOFT_OFFLOAD std::int64_t next_i64(std::int64_t value);
ALOFT_OFFLOAD std::uint8_t next_u8(std::uint8_t value);
ALOFT_OFFLOAD std::uint16_t next_u16(std::uint16_t value);
ALOFT_OFFLOAD std::uint32_t next_u32(std::uint32_t value);
ALOFT_OFFLOAD std::uint64_t next_u64(std::uint64_t value);
ALOFT_OFFLOAD char next_char(char value);
ALOFT_OFFLOAD std::byte complement(std::byte value);

ALOFT_OFFLOAD float half_f32(float value);
ALOFT_OFFLOAD double half_f64(double value);

enum class Colour : std::int16_t { red = -1, green = 0, blue = 300 };
// Red, green, blue, red.
ALOFT_OFFLOAD Colour following(Colour colour);

// The bytes from last to first.
ALOFT_OFFLOAD std::string reversed(std::string_view text);
ALOFT_OFFLOAD std::vector<std::uint8_t> reversed_bytes(std::span<const std::uint8_t> bytes);

// Element i: the sum of the first i + 1, without overflow.
ALOFT_OFFLOAD std::vector<std::int32_t> sums(std::span<const std::int32_t> numbers);
ALOFT_OFFLOAD std::vector<double> halves(std::span<const double> numbers);
// The elements from last to first.
ALOFT_OFFLOAD std::vector<std::string> backwards(const std::vector<std::string>& words);
// {b, c, a} of {a, b, c}.
ALOFT_OFFLOAD std::array<float, 3> rotated(const std::array<float, 3>& numbers);
// Nothing of 0, 0 of nothing, else the value with the other sign (the smallest one stays as it is).
ALOFT_OFFLOAD std::optional<std::int32_t> opposite(std::optional<std::int32_t> value);
ALOFT_OFFLOAD std::tuple<std::string, std::int32_t> swapped(
    const std::tuple<std::int32_t, std::string>& pair);
// Each value twice, without overflow; in the order of the keys' bytes.
ALOFT_OFFLOAD std::map<std::string, std::int64_t> doubled(
    const std::map<std::string, std::int64_t>& values);

struct Point {
  float x = 0;
  float y = 0;
  bool operator==(const Point&) const = default;
};
struct Track {
  std::uint64_t id = 0;
  std::string label;
  Point at;
  std::vector<Point> path;
  std::optional<double> speed;
  bool operator==(const Track&) const = default;
};
// The track one step on: `at` becomes the last of its path, and is moved by `by`.
ALOFT_OFFLOAD Track moved(const Track& track, const Point& by);

// 255 - each byte.
ALOFT_OFFLOAD aloft::Image negative(const aloft::Image& image);

// Without parameters.
ALOFT_OFFLOAD std::string language();

// --- Ends of a call
// Says the text, a line on standard output.
ALOFT_OFFLOAD_ONCE void say(std::string_view text);
// Ends the call with this message.
ALOFT_OFFLOAD std::int32_t give_up(std::string_view message);
// Traps, one way or another, where the divisor is 0.
ALOFT_OFFLOAD std::int32_t quotient(std::int32_t number, std::int32_t divisor);
// Does not end.
ALOFT_OFFLOAD std::uint32_t spin(std::uint32_t seed);
// Keeps memory, in pieces of so many bytes, until there is no more; how it ends then is the
// language's business.
ALOFT_OFFLOAD std::uint32_t hoard(std::uint32_t piece);
// Calls itself without end.
ALOFT_OFFLOAD std::uint32_t fall(std::uint32_t depth);

// --- Neural networks
inline constexpr aloft::nn::Graph doubling{"doubling"};
// What the network makes of the number.
ALOFT_OFFLOAD float infer(float number);

// --- State
class ALOFT_OFFLOAD_OBJECT Notebook {
 public:
  // The number of lines then.
  ALOFT_OFFLOAD std::uint32_t write(std::string_view line, std::int64_t weight);
  ALOFT_OFFLOAD std::int64_t weight() const;
  ALOFT_OFFLOAD std::string line(std::uint32_t number) const;
  ALOFT_OFFLOAD void clear();

  // What was here last.
  [[nodiscard]] const std::vector<std::string>& lines_here() const { return lines_; }
  [[nodiscard]] std::int64_t weight_here() const { return weight_; }

 private:
  std::vector<std::string> lines_;
  std::int64_t weight_ = 0;
  ALOFT_STATE(lines_, weight_)
};

}  // namespace conformance
