// Fuzz target: calls with encoded pictures, as a handler takes them: what the head says of the
// pictures, then the pictures themselves.
//
// What must hold beyond not crashing: a head that was found good describes its body and its
// arguments exactly, and nothing but the arguments is written.
#include <algorithm>
#include <vector>

#include "function/coded_arguments.h"
#include "image/jpeg.h"
#include "input.h"

namespace {

using aloft::function::Call;

constexpr std::size_t kGuard = 64;
constexpr std::uint64_t kMostArguments = 1U << 20U;

// A small number mostly, since large ones are refused soon.
std::uint32_t take_number(aloft::fuzz::Input& input) {
  const std::uint32_t low = aloft::fuzz::take_byte(input);
  return low < 0xf0 ? low : low << 8U | aloft::fuzz::take_byte(input);
}

// A picture that the library itself has made, some of whose bytes are the input's.
std::vector<std::byte> make_jpeg(const aloft::image::Shape& shape, aloft::fuzz::Input& input) {
  std::vector<std::byte> pixels(shape.bytes());
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::byte>(i * 7 / 5);
  std::vector<std::byte> jpeg;
  (void)aloft::image::JpegEncoder().encode(pixels, shape, 1 + aloft::fuzz::take_byte(input) % 100,
                                           jpeg);
  while (!input.empty() && !jpeg.empty()) {
    const std::size_t at =
        std::size_t{aloft::fuzz::take_byte(input)} << 8U | aloft::fuzz::take_byte(input);
    jpeg[at % jpeg.size()] = static_cast<std::byte>(aloft::fuzz::take_byte(input));
  }
  return jpeg;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aloft::fuzz;
  namespace function = aloft::function;
  Input input = std::as_bytes(std::span(data, size));
  Call call;
  const unsigned pictures = take_byte(input) % 4;
  for (unsigned i = 0; i < pictures; ++i) {
    call.pictures.push_back({.codec = "jpeg",
                             .at = take_number(input),
                             .size = take_number(input),
                             .width = take_number(input),
                             .height = take_number(input),
                             .format = take_byte(input) % 6U});
  }
  call.argument_bytes = take_number(input);
  std::vector<std::byte> body(input.begin(), input.end());
  if (take_byte(input) % 2 == 0 && pictures == 1) {
    // One that holds together, so that what is in the picture is reached.
    Call::Picture& picture = call.pictures[0];
    const aloft::image::Shape shape{
        picture.width, picture.height,
        picture.format == 1 ? aloft::PixelFormat::gray8 : aloft::PixelFormat::bgr8};
    picture.format = static_cast<std::uint32_t>(shape.format);
    if (shape.bytes() == 0 || shape.bytes() > kMostArguments) return 0;
    body = make_jpeg(shape, input);
    picture.at = 0;
    picture.size = body.size();
    call.argument_bytes = shape.bytes();
  }
  if (!function::check_pictures(call, body.size())) return 0;
  require(body.size() <= call.argument_bytes, "a body is no larger than its arguments");
  if (call.argument_bytes > kMostArguments) return 0;
  std::vector<std::byte> arguments(call.argument_bytes + kGuard, std::byte{0x5a});
  aloft::image::JpegDecoder decoder;
  (void)function::decode_pictures(call, body, decoder,
                                  std::span(arguments).first(call.argument_bytes));
  require(std::all_of(arguments.end() - kGuard, arguments.end(),
                      [](std::byte byte) { return byte == std::byte{0x5a}; }),
          "nothing behind the arguments is written");
  return 0;
}
