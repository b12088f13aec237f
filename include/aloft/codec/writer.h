// Writes MessagePack so that bulk bytes stay where they are: see codec.h.
//
// The result is a list of segments. Small things go to the writer's own buffer; a string or `bin`
// of at least kBorrowFrom bytes becomes a segment that points at the caller's memory.
//
//   array head, a small integer, `bin` head | the caller's pixels | a float | ...
//   '------------ own buffer -------------'   '--- borrowed ----'   '-- own buffer --
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

namespace aloft::codec {

static_assert(std::endian::native == std::endian::little,
              "packed elements are little-endian and are not converted");

class Writer {
 public:
  // From this many bytes on, pointing costs less than copying.
  static constexpr std::size_t kBorrowFrom = 256;

  Writer() = default;
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void nil() { byte(0xc0); }
  void boolean(bool value) { byte(value ? 0xc3 : 0xc2); }
  void unsigned_integer(std::uint64_t value) {
    if (value < 0x80) return byte(static_cast<std::uint8_t>(value));
    if (value <= 0xff) return tagged(0xcc, static_cast<std::uint8_t>(value));
    if (value <= 0xffff) return tagged(0xcd, static_cast<std::uint16_t>(value));
    if (value <= 0xffffffff) return tagged(0xce, static_cast<std::uint32_t>(value));
    tagged(0xcf, value);
  }
  void signed_integer(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    if (value >= 0) return unsigned_integer(bits);
    if (value >= -32) return byte(static_cast<std::uint8_t>(bits));
    if (value >= std::numeric_limits<std::int8_t>::min())
      return tagged(0xd0, static_cast<std::uint8_t>(bits));
    if (value >= std::numeric_limits<std::int16_t>::min())
      return tagged(0xd1, static_cast<std::uint16_t>(bits));
    if (value >= std::numeric_limits<std::int32_t>::min())
      return tagged(0xd2, static_cast<std::uint32_t>(bits));
    tagged(0xd3, bits);
  }
  void float32(float value) { tagged(0xca, std::bit_cast<std::uint32_t>(value)); }
  void float64(double value) { tagged(0xcb, std::bit_cast<std::uint64_t>(value)); }

  void string(std::string_view text) {
    if (text.size() < 32) {
      byte(static_cast<std::uint8_t>(0xa0 | text.size()));
    } else if (text.size() <= 0xff) {
      tagged(0xd9, static_cast<std::uint8_t>(text.size()));
    } else if (text.size() <= 0xffff) {
      tagged(0xda, static_cast<std::uint16_t>(text.size()));
    } else {
      tagged(0xdb, checked(text.size()));
    }
    bytes(std::as_bytes(std::span(text)));
  }
  void binary(std::span<const std::byte> data) {
    binary_head(data.size());
    bytes(data);
  }
  // Announces `size` bytes that come by own_bytes().
  void binary_head(std::size_t size) {
    if (size <= 0xff) return tagged(0xc4, static_cast<std::uint8_t>(size));
    if (size <= 0xffff) return tagged(0xc5, static_cast<std::uint16_t>(size));
    tagged(0xc6, checked(size));
  }
  // The pixels of a picture, as binary(); where they are not copied, pictures() tells of them.
  void pixels(std::uint32_t width, std::uint32_t height, std::uint8_t format,
              std::span<const std::byte> data) {
    binary_head(data.size());
    if (data.size() >= kBorrowFrom) pictures_.push_back({size(), width, height, format, data});
    bytes(data);
  }
  // Appends bytes by copying them, whatever their number.
  void own_bytes(std::span<const std::byte> data) {
    own_.insert(own_.end(), data.begin(), data.end());
  }

  // Announces `count` values, or `count` pairs of a key and a value.
  void array(std::size_t count) {
    if (count < 16) return byte(static_cast<std::uint8_t>(0x90 | count));
    if (count <= 0xffff) return tagged(0xdc, static_cast<std::uint16_t>(count));
    tagged(0xdd, checked(count));
  }
  void map(std::size_t count) {
    if (count < 16) return byte(static_cast<std::uint8_t>(0x80 | count));
    if (count <= 0xffff) return tagged(0xde, static_cast<std::uint16_t>(count));
    tagged(0xdf, checked(count));
  }

  // False once something was longer than MessagePack can say (2^32 - 1): the segments are then of
  // no use.
  [[nodiscard]] bool ok() const { return ok_; }
  // Bytes in all.
  [[nodiscard]] std::size_t size() const { return own_.size() + borrowed_size_; }
  // What was written, in order; no segment is empty. Valid until the next call that writes, clear()
  // or destruction, and as long as the borrowed memory is.
  [[nodiscard]] std::span<const std::span<const std::byte>> segments() {
    segments_.clear();
    std::size_t at = 0;
    for (const Borrowed& borrowed : borrowed_) {
      if (borrowed.after > at)
        segments_.push_back(std::span(own_).subspan(at, borrowed.after - at));
      segments_.push_back(borrowed.data);
      at = borrowed.after;
    }
    if (own_.size() > at) segments_.push_back(std::span(own_).subspan(at));
    return segments_;
  }
  // A picture's pixels among the bytes: each is one of segments().
  struct Picture {
    std::size_t at = 0;  // of all bytes, where they begin
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    std::uint8_t format = 0;  // aloft::PixelFormat
    std::span<const std::byte> pixels;
  };
  [[nodiscard]] std::span<const Picture> pictures() const { return pictures_; }
  // Starts anew; keeps its buffers, so that the next call of the same kind allocates nothing.
  void clear() {
    own_.clear();
    borrowed_.clear();
    pictures_.clear();
    segments_.clear();
    borrowed_size_ = 0;
    ok_ = true;
  }

 private:
  struct Borrowed {
    std::span<const std::byte> data;
    std::size_t after = 0;  // own bytes that come before it
  };

  void byte(std::uint8_t value) { own_.push_back(std::byte{value}); }

  // A tag and a big-endian number.
  template <class T>
  void tagged(std::uint8_t tag, T value) {
    std::byte out[1 + sizeof(T)];
    out[0] = std::byte{tag};
    for (std::size_t i = sizeof(T); i > 0; --i) {
      out[i] = static_cast<std::byte>(value & 0xff);
      value = static_cast<T>(std::uint64_t{value} >> 8);
    }
    own_bytes(out);
  }

  std::uint32_t checked(std::size_t size) {
    ok_ = ok_ && std::uint64_t{size} <= std::numeric_limits<std::uint32_t>::max();
    return static_cast<std::uint32_t>(size);
  }

  void bytes(std::span<const std::byte> data) {
    if (data.size() < kBorrowFrom) return own_bytes(data);
    borrowed_.push_back({data, own_.size()});
    borrowed_size_ += data.size();
  }

  std::vector<std::byte> own_;
  std::vector<Borrowed> borrowed_;
  std::vector<Picture> pictures_;
  std::vector<std::span<const std::byte>> segments_;
  std::size_t borrowed_size_ = 0;
  bool ok_ = true;
};

}  // namespace aloft::codec
