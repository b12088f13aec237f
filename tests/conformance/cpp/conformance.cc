// The conformance guest in C++, which aloft-cc makes.
#include "conformance.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>

namespace conformance {

namespace {

template <class T>
T next(T value) {
  return value == std::numeric_limits<T>::max() ? std::numeric_limits<T>::min()
                                                : static_cast<T>(value + 1);
}

}  // namespace

bool invert(bool value) { return !value; }

std::int8_t next_i8(std::int8_t value) { return next(value); }
std::int16_t next_i16(std::int16_t value) { return next(value); }
std::int32_t next_i32(std::int32_t value) { return next(value); }
std::int64_t next_i64(std::int64_t value) { return next(value); }
std::uint8_t next_u8(std::uint8_t value) { return next(value); }
std::uint16_t next_u16(std::uint16_t value) { return next(value); }
std::uint32_t next_u32(std::uint32_t value) { return next(value); }
std::uint64_t next_u64(std::uint64_t value) { return next(value); }
char next_char(char value) { return static_cast<char>(static_cast<unsigned char>(value) + 1); }
std::byte complement(std::byte value) { return ~value; }

float half_f32(float value) { return value * 0.5F; }
double half_f64(double value) { return value * 0.5; }

Colour following(Colour colour) {
  switch (colour) {
    case Colour::red: return Colour::green;
    case Colour::green: return Colour::blue;
    case Colour::blue: return Colour::red;
  }
  aloft::abort_call("no such colour");
}

std::string reversed(std::string_view text) { return {text.rbegin(), text.rend()}; }
std::vector<std::uint8_t> reversed_bytes(std::span<const std::uint8_t> bytes) {
  return {bytes.rbegin(), bytes.rend()};
}

std::vector<std::int32_t> sums(std::span<const std::int32_t> numbers) {
  std::vector<std::int32_t> result;
  std::uint32_t sum = 0;
  for (const std::int32_t number : numbers) {
    sum += static_cast<std::uint32_t>(number);
    result.push_back(static_cast<std::int32_t>(sum));
  }
  return result;
}

std::vector<double> halves(std::span<const double> numbers) {
  std::vector<double> result;
  for (const double number : numbers) result.push_back(number * 0.5);
  return result;
}

std::vector<std::string> backwards(const std::vector<std::string>& words) {
  return {words.rbegin(), words.rend()};
}

std::array<float, 3> rotated(const std::array<float, 3>& numbers) {
  return {numbers[1], numbers[2], numbers[0]};
}

std::optional<std::int32_t> opposite(std::optional<std::int32_t> value) {
  if (!value) return 0;
  if (*value == 0) return std::nullopt;
  return static_cast<std::int32_t>(-static_cast<std::uint32_t>(*value));
}

std::tuple<std::string, std::int32_t> swapped(const std::tuple<std::int32_t, std::string>& pair) {
  return {std::get<1>(pair), std::get<0>(pair)};
}

std::map<std::string, std::int64_t> doubled(const std::map<std::string, std::int64_t>& values) {
  std::map<std::string, std::int64_t> result;
  for (const auto& [key, value] : values)
    result[key] = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) * 2);
  return result;
}

Track moved(const Track& track, const Point& by) {
  Track result = track;
  result.path.push_back(track.at);
  result.at.x += by.x;
  result.at.y += by.y;
  return result;
}

aloft::Image negative(const aloft::Image& image) {
  aloft::Image result(image.width(), image.height(), image.format());
  std::ranges::transform(image.pixels(), result.mutable_pixels().begin(),
                         [](std::uint8_t value) { return static_cast<std::uint8_t>(255 - value); });
  return result;
}

std::string language() { return "cpp"; }

void say(std::string_view text) {
  std::printf("%.*s\n", static_cast<int>(text.size()), text.data());
  std::fflush(stdout);
}

std::int32_t give_up(std::string_view message) { aloft::abort_call(message); }

std::int32_t quotient(std::int32_t number, std::int32_t divisor) { return number / divisor; }

std::uint32_t spin(std::uint32_t seed) {
  volatile std::uint32_t state = seed;
  while (true) state = state + 1;
}

std::uint32_t hoard(std::uint32_t piece) {
  std::uint32_t pieces = 0;
  while (char* const memory = static_cast<char*>(std::malloc(piece))) {
    *static_cast<volatile char*>(memory) = 1;
    ++pieces;
  }
  return pieces;
}

std::uint32_t fall(std::uint32_t depth) {
  volatile char frame[1024] = {};
  return fall(depth + 1) + static_cast<std::uint32_t>(frame[depth % 1024]);
}

float infer(float number) {
  auto context = doubling.context();
  if (!context) aloft::abort_call(context.error().message);
  const std::array<std::uint32_t, 1> dims{1};
  const std::array<float, 1> input{number};
  const auto set =
      context->set_input(0, {aloft::nn::ElementType::f32, dims, std::as_bytes(std::span(input))});
  if (!set) aloft::abort_call(set.error().message);
  if (const auto computed = context->compute(); !computed)
    aloft::abort_call(computed.error().message);
  std::array<float, 1> output{};
  const auto written = context->get_output(0, std::as_writable_bytes(std::span(output)));
  if (!written) aloft::abort_call(written.error().message);
  return output[0];
}

std::uint32_t Notebook::write(std::string_view line, std::int64_t weight) {
  lines_.emplace_back(line);
  weight_ += weight;
  return static_cast<std::uint32_t>(lines_.size());
}
std::int64_t Notebook::weight() const { return weight_; }
std::string Notebook::line(std::uint32_t number) const {
  if (number >= lines_.size()) aloft::abort_call("no such line");
  return lines_[number];
}
void Notebook::clear() {
  lines_.clear();
  weight_ = 0;
}

}  // namespace conformance
