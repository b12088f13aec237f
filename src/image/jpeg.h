// Pictures as JPEG: by libjpeg-turbo, through its TurboJPEG API.
//
// What is decoded comes from a peer that nobody trusts. A decoder is told the picture's size and
// format beforehand, and reads of the bytes only what one of that size can be: their markers are
// gone through first, and anything but one baseline frame of that size, in one scan, of the usual
// subsampling is refused before libjpeg-turbo sees it. Progressive JPEG, of which a few bytes can
// ask for seconds and for a copy of the whole picture, is among what is refused. So a decoder takes
// time as the picture's size and the bytes' number say, memory for some rows, and writes exactly
// the picture's pixels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <aloft/image.h>
#include <aloft/result.h>

namespace aloft::image {

// The size of a picture, which tells how many bytes its pixels are: rows of interleaved channels,
// packed.
struct Shape {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  PixelFormat format = PixelFormat::bgr8;

  [[nodiscard]] std::uint64_t bytes() const {
    return std::uint64_t{width} * height * channels(format);
  }
  friend bool operator==(const Shape&, const Shape&) = default;
};

// Whether JPEG has room for such a picture: gray8, bgr8 or rgb8, and no side of 0 or above 65500.
[[nodiscard]] bool fits_jpeg(const Shape& shape);

// Whether `jpeg` is what a decoder below takes for a picture of this shape, as far as its markers
// say. Errors: corrupt, saying what is not as it should be.
[[nodiscard]] Result<void> check_jpeg(std::span<const std::byte> jpeg, const Shape& shape);

// Keep the library's state from one picture to the next. Thread rule: one thread at a time.
class JpegEncoder {
 public:
  JpegEncoder();

  // Appends the picture to `out`. `pixels` has shape.bytes(), quality is 1..100. Errors:
  // invalid_argument (no such picture, quality or number of bytes), internal.
  [[nodiscard]] Result<void> encode(std::span<const std::byte> pixels, const Shape& shape,
                                    int quality, std::vector<std::byte>& out);

 private:
  struct Close {
    void operator()(void* handle) const;
  };
  std::unique_ptr<void, Close> handle_;
};

class JpegDecoder {
 public:
  JpegDecoder();

  // Writes shape.bytes() to `pixels`, which has as many; part of them when it fails. Errors:
  // invalid_argument (no such picture or number of bytes), corrupt (`jpeg` is none of that shape),
  // internal.
  [[nodiscard]] Result<void> decode(std::span<const std::byte> jpeg, const Shape& shape,
                                    std::span<std::byte> pixels);

 private:
  struct Close {
    void operator()(void* handle) const;
  };
  std::unique_ptr<void, Close> handle_;
};

}  // namespace aloft::image
