#include "function/coded_arguments.h"

#include <algorithm>
#include <string>
#include <utility>

namespace aloft::function {
namespace {

using std::chrono::steady_clock;

// A picture of fewer bytes is not worth the trouble.
constexpr std::size_t kWorthwhile = 4096;

// One encoder a thread that calls: libjpeg-turbo's state is kept from one call to the next.
image::JpegEncoder& encoder_of_this_thread() {
  thread_local image::JpegEncoder encoder;
  return encoder;
}

image::Shape shape_of(std::uint32_t width, std::uint32_t height, std::uint64_t format) {
  image::Shape shape{width, height, PixelFormat::bgra8};  // which does not fit
  for (const PixelFormat known : {PixelFormat::gray8, PixelFormat::bgr8, PixelFormat::rgb8}) {
    if (static_cast<std::uint64_t>(known) == format) shape.format = known;
  }
  return shape;
}

image::Shape shape_of(const Call::Picture& picture) {
  return shape_of(picture.width, picture.height, picture.format);
}

}  // namespace

void CodedArguments::add(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  segments_.push_back(bytes);
  size_ += bytes.size();
}

void CodedArguments::add(const codec::Writer::Picture& picture, const ImageCoding& coding) {
  const image::Shape shape = shape_of(picture.width, picture.height, picture.format);
  std::vector<std::byte> jpeg;
  if (pictures_.size() == kMaxPictures || picture.pixels.size() < kWorthwhile ||
      !image::fits_jpeg(shape) ||
      !encoder_of_this_thread().encode(picture.pixels, shape, coding.quality, jpeg) ||
      jpeg.size() >= picture.pixels.size())
    return add(picture.pixels);
  pictures_.push_back({.codec = std::string(kJpeg),
                       .at = picture.at,
                       .size = jpeg.size(),
                       .width = picture.width,
                       .height = picture.height,
                       .format = picture.format});
  record_.raw_bytes += picture.pixels.size();
  record_.coded_bytes += jpeg.size();
  coded_.push_back(std::move(jpeg));
  add(coded_.back());
}

std::optional<CodedArguments> CodedArguments::encode(codec::Writer& arguments,
                                                     const ImageCoding& coding) {
  if (coding.format != ImageFormat::jpeg || arguments.pictures().empty()) return std::nullopt;
  const auto began = steady_clock::now();
  CodedArguments made;
  std::size_t at = 0;
  auto next = arguments.pictures().begin();
  for (const auto segment : arguments.segments()) {
    // A picture's pixels are a segment of their own.
    if (next != arguments.pictures().end() && next->at == at) {
      made.add(*next++, coding);
    } else {
      made.add(segment);
    }
    at += segment.size();
  }
  return finish(std::move(made), at, coding, began);
}

std::optional<CodedArguments> CodedArguments::encode(
    std::span<const std::byte> arguments, std::span<const codec::Writer::Picture> pictures,
    const ImageCoding& coding) {
  if (coding.format != ImageFormat::jpeg || pictures.empty()) return std::nullopt;
  const auto began = steady_clock::now();
  CodedArguments made;
  std::size_t at = 0;
  for (const codec::Writer::Picture& picture : pictures) {
    made.add(arguments.subspan(at, picture.at - at));
    made.add(picture, coding);
    at = picture.at + picture.pixels.size();
  }
  made.add(arguments.subspan(at));
  return finish(std::move(made), arguments.size(), coding, began);
}

std::optional<CodedArguments> CodedArguments::finish(CodedArguments made, std::uint64_t size,
                                                     const ImageCoding& coding,
                                                     steady_clock::time_point began) {
  if (made.pictures_.empty()) return std::nullopt;
  made.argument_bytes_ = size;
  made.record_.coding = coding;
  made.record_.encode = steady_clock::now() - began;
  return made;
}

Result<void> check_pictures(const Call& call, std::uint64_t body_size) {
  const auto wrong = [](std::string what) { return fail(Errc::invalid_argument, std::move(what)); };
  if (call.pictures.size() > kMaxPictures)
    return wrong("a call with more than " + std::to_string(kMaxPictures) + " encoded pictures");
  std::uint64_t at = 0;            // behind the picture before, in the arguments
  std::uint64_t left = body_size;  // of the body, for this picture and what follows
  for (const Call::Picture& picture : call.pictures) {
    if (picture.codec != kJpeg)
      return fail(Errc::refused, "pictures by a codec that is not known here");
    const image::Shape shape = shape_of(picture);
    if (!image::fits_jpeg(shape)) return wrong("a picture of a shape that its codec does not have");
    if (picture.at < at || picture.at > call.argument_bytes ||
        shape.bytes() > call.argument_bytes - picture.at)
      return wrong("a picture that is not within the arguments");
    const std::uint64_t before = picture.at - at;
    // A picture is encoded to be smaller; so a body is never larger than its arguments.
    if (picture.size > shape.bytes() || before > left || picture.size > left - before)
      return wrong("a picture that is not within the body");
    left -= before + picture.size;
    at = picture.at + shape.bytes();
  }
  if (left != call.argument_bytes - at)
    return wrong("a body of another size than its pictures and the rest come to");
  return {};
}

Result<void> decode_pictures(const Call& call, std::span<const std::byte> body,
                             image::JpegDecoder& decoder, std::span<std::byte> arguments) {
  std::size_t from = 0;
  std::size_t to = 0;
  const auto copy = [&](std::size_t size) {
    std::ranges::copy(body.subspan(from, size),
                      arguments.begin() + static_cast<std::ptrdiff_t>(to));
    from += size;
    to += size;
  };
  for (const Call::Picture& picture : call.pictures) {
    copy(static_cast<std::size_t>(picture.at) - to);
    const image::Shape shape = shape_of(picture);
    const auto jpeg = body.subspan(from, static_cast<std::size_t>(picture.size));
    const auto pixels = arguments.subspan(to, static_cast<std::size_t>(shape.bytes()));
    if (auto decoded = decoder.decode(jpeg, shape, pixels); !decoded) return decoded;
    from += jpeg.size();
    to += pixels.size();
  }
  copy(body.size() - from);
  return {};
}

}  // namespace aloft::function
