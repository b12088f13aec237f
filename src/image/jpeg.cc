#include "image/jpeg.h"

#include <algorithm>
#include <optional>
#include <string>

#include <turbojpeg.h>

namespace aloft::image {
namespace {

constexpr std::uint32_t kMaxSide = 65500;  // libjpeg's own

// Markers, the byte after 0xff.
constexpr std::uint8_t kStartOfImage = 0xd8;
constexpr std::uint8_t kBaseline = 0xc0;
constexpr std::uint8_t kHuffmanTables = 0xc4;
constexpr std::uint8_t kStartOfScan = 0xda;
constexpr std::uint8_t kQuantization = 0xdb;
constexpr std::uint8_t kRestartInterval = 0xdd;
constexpr std::uint8_t kApplication0 = 0xe0;
constexpr std::uint8_t kApplication15 = 0xef;
constexpr std::uint8_t kComment = 0xfe;

std::optional<int> pixel_format(PixelFormat format) {
  switch (format) {
    case PixelFormat::gray8: return TJPF_GRAY;
    case PixelFormat::bgr8: return TJPF_BGR;
    case PixelFormat::rgb8: return TJPF_RGB;
    case PixelFormat::bgra8:
    case PixelFormat::rgba8: break;
  }
  return std::nullopt;
}

std::string text(const Shape& shape) {
  return std::to_string(shape.width) + "x" + std::to_string(shape.height);
}

// The bytes as a JPEG's head is read: numbers are big-endian, and nothing is read past the end.
class Head {
 public:
  explicit Head(std::span<const std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] std::optional<std::uint8_t> byte() {
    if (at_ == bytes_.size()) return std::nullopt;
    return std::to_integer<std::uint8_t>(bytes_[at_++]);
  }
  // What follows a marker: a length, which counts itself, and as many bytes.
  [[nodiscard]] std::optional<std::span<const std::byte>> segment() {
    const auto high = byte();
    const auto low = byte();
    if (!high || !low) return std::nullopt;
    const std::size_t length = std::size_t{*high} << 8U | *low;
    if (length < 2 || length - 2 > bytes_.size() - at_) return std::nullopt;
    const auto body = bytes_.subspan(at_, length - 2);
    at_ += length - 2;
    return body;
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
};

std::uint8_t at(std::span<const std::byte> bytes, std::size_t index) {
  return std::to_integer<std::uint8_t>(bytes[index]);
}

std::unexpected<Error> corrupt(const std::string& what) {
  return fail(Errc::corrupt, "not the JPEG that was said to come: " + what);
}

// A frame's components: one for gray, else three, of which the first may be sampled up to twice as
// densely as the others in each direction.
bool has_usual_components(std::span<const std::byte> frame, std::size_t components) {
  if (frame.size() != 6 + 3 * components || at(frame, 5) != components) return false;
  for (std::size_t i = 0; i < components; ++i) {
    const std::uint8_t sampling = at(frame, 7 + 3 * i);
    const std::uint8_t across = sampling >> 4U;
    const std::uint8_t down = sampling & 0x0fU;
    const std::uint8_t most = i == 0 ? 2 : 1;
    if (across < 1 || across > most || down < 1 || down > most) return false;
  }
  return true;
}

Result<void> check_frame(std::span<const std::byte> frame, const Shape& shape,
                         std::size_t components) {
  if (frame.size() < 6 || at(frame, 0) != 8) return corrupt("its samples have no 8 bits");
  const std::uint32_t height = std::uint32_t{at(frame, 1)} << 8U | at(frame, 2);
  const std::uint32_t width = std::uint32_t{at(frame, 3)} << 8U | at(frame, 4);
  if (width != shape.width || height != shape.height) {
    return corrupt("it is " + text({width, height, shape.format}) + " in place of " + text(shape));
  }
  if (!has_usual_components(frame, components))
    return corrupt("its components are not those of its pixel format");
  return {};
}

}  // namespace

bool fits_jpeg(const Shape& shape) {
  return pixel_format(shape.format) && shape.width > 0 && shape.height > 0 &&
         shape.width <= kMaxSide && shape.height <= kMaxSide;
}

Result<void> check_jpeg(std::span<const std::byte> jpeg, const Shape& shape) {
  const std::size_t components = shape.format == PixelFormat::gray8 ? 1 : 3;
  Head head(jpeg);
  if (head.byte() != 0xff || head.byte() != kStartOfImage) return corrupt("it begins otherwise");
  bool has_frame = false;
  for (;;) {
    if (head.byte() != 0xff) return corrupt("it has no marker where one should be");
    auto marker = head.byte();
    while (marker == 0xff) marker = head.byte();  // any number may precede one
    const auto segment = marker ? head.segment() : std::nullopt;
    if (!segment) return corrupt("it ends before its first scan");
    if (marker == kBaseline) {
      if (has_frame) return corrupt("it has two frames");
      has_frame = true;
      if (auto checked = check_frame(*segment, shape, components); !checked) return checked;
    } else if (marker == kStartOfScan) {
      // A scan of some components only would be followed by others, for which a decoder keeps the
      // whole picture.
      if (!has_frame) return corrupt("it has a scan before its frame");
      if (segment->empty() || at(*segment, 0) != components)
        return corrupt("its first scan has not all of its components");
      return {};
    } else if (marker != kHuffmanTables && marker != kQuantization && marker != kRestartInterval &&
               marker != kComment && (*marker < kApplication0 || *marker > kApplication15)) {
      return corrupt("it is no baseline JPEG of one frame");
    }
  }
}

void JpegEncoder::Close::operator()(void* handle) const { tjDestroy(handle); }
void JpegDecoder::Close::operator()(void* handle) const { tjDestroy(handle); }

JpegEncoder::JpegEncoder() : handle_(tjInitCompress()) {}
JpegDecoder::JpegDecoder() : handle_(tjInitDecompress()) {}

Result<void> JpegEncoder::encode(std::span<const std::byte> pixels, const Shape& shape, int quality,
                                 std::vector<std::byte>& out) {
  if (!fits_jpeg(shape) || pixels.size() != shape.bytes())
    return fail(Errc::invalid_argument, "no picture that JPEG has room for");
  if (quality < 1 || quality > 100)
    return fail(Errc::invalid_argument, "a JPEG's quality is 1 to 100");
  if (handle_ == nullptr) return fail(Errc::internal, "libjpeg-turbo gives no encoder");
  const int width = static_cast<int>(shape.width);
  const int height = static_cast<int>(shape.height);
  const int sampling = shape.format == PixelFormat::gray8 ? TJSAMP_GRAY : TJSAMP_420;
  const std::size_t begin = out.size();
  unsigned long size = tjBufSize(width, height, sampling);
  out.resize(begin + size);
  auto* target = reinterpret_cast<unsigned char*>(out.data() + begin);
  const int failed = tjCompress2(
      handle_.get(), reinterpret_cast<const unsigned char*>(pixels.data()), width, 0, height,
      *pixel_format(shape.format), &target, &size, sampling, quality, TJFLAG_NOREALLOC);
  out.resize(failed != 0 ? begin : begin + size);
  if (failed != 0)
    return fail(Errc::internal, std::string("libjpeg-turbo: ") + tjGetErrorStr2(handle_.get()));
  return {};
}

Result<void> JpegDecoder::decode(std::span<const std::byte> jpeg, const Shape& shape,
                                 std::span<std::byte> pixels) {
  if (!fits_jpeg(shape) || pixels.size() != shape.bytes())
    return fail(Errc::invalid_argument, "no picture that JPEG has room for");
  if (auto checked = check_jpeg(jpeg, shape); !checked) return checked;
  if (handle_ == nullptr) return fail(Errc::internal, "libjpeg-turbo gives no decoder");
  // Of what is merely odd, too, nobody knows what it would show.
  const int failed = tjDecompress2(
      handle_.get(), reinterpret_cast<const unsigned char*>(jpeg.data()),
      static_cast<unsigned long>(jpeg.size()), reinterpret_cast<unsigned char*>(pixels.data()),
      static_cast<int>(shape.width), 0, static_cast<int>(shape.height), *pixel_format(shape.format),
      TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS);
  if (failed != 0) return corrupt(tjGetErrorStr2(handle_.get()));
  return {};
}

}  // namespace aloft::image
