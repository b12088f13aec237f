// A picture as elastic functions take and return it: rows of interleaved 8-bit channels.
//
// An Image either owns its pixels or borrows them (a decoder's buffer, a guest's receive buffer).
// Borrowing is what lets a frame cross from the caller's memory to the socket, and from the socket
// into a guest's memory, without a copy. Shared by native code and guests. Thread rule: like
// std::vector; a borrowed Image must not outlive the pixels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace aloft {

// Order and meaning of the channels. The numbers go over the wire: never renumber.
enum class PixelFormat : std::uint8_t { gray8 = 1, bgr8 = 2, rgb8 = 3, bgra8 = 4, rgba8 = 5 };

[[nodiscard]] constexpr std::uint32_t channels(PixelFormat format) {
  switch (format) {
    case PixelFormat::gray8: return 1;
    case PixelFormat::bgr8:
    case PixelFormat::rgb8: return 3;
    case PixelFormat::bgra8:
    case PixelFormat::rgba8: return 4;
  }
  return 0;
}

class Image {
 public:
  Image() = default;

  // Owns `width` x `height` zeroed pixels, rows packed.
  Image(std::uint32_t width, std::uint32_t height, PixelFormat format)
      : width_(width),
        height_(height),
        format_(format),
        owned_(std::size_t{width} * height * channels(format)) {}

  // Takes packed pixels over; `pixels.size()` must be width * height * channels(format).
  Image(std::uint32_t width, std::uint32_t height, PixelFormat format,
        std::vector<std::uint8_t> pixels)
      : width_(width), height_(height), format_(format), owned_(std::move(pixels)) {}

  // Borrows packed pixels, which must stay valid and unchanged as long as this Image (and any copy)
  // is used.
  [[nodiscard]] static Image borrow(std::uint32_t width, std::uint32_t height, PixelFormat format,
                                    std::span<const std::uint8_t> pixels) {
    Image image;
    image.width_ = width;
    image.height_ = height;
    image.format_ = format;
    image.borrowed_ = pixels;
    return image;
  }

  [[nodiscard]] std::uint32_t width() const { return width_; }    // pixels
  [[nodiscard]] std::uint32_t height() const { return height_; }  // pixels
  [[nodiscard]] PixelFormat format() const { return format_; }
  [[nodiscard]] std::size_t stride() const {
    return std::size_t{width_} * channels(format_);
  }  // bytes a row
  [[nodiscard]] bool empty() const { return pixels().empty(); }

  // All bytes, row after row, no padding.
  [[nodiscard]] std::span<const std::uint8_t> pixels() const {
    return owned_.empty() ? borrowed_ : std::span<const std::uint8_t>(owned_);
  }
  // Writable bytes of an owning Image; empty for a borrowed one.
  [[nodiscard]] std::span<std::uint8_t> mutable_pixels() { return owned_; }

 private:
  std::uint32_t width_ = 0;
  std::uint32_t height_ = 0;
  PixelFormat format_ = PixelFormat::bgr8;
  std::vector<std::uint8_t> owned_;
  std::span<const std::uint8_t> borrowed_;
};

}  // namespace aloft
