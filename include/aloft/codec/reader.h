// Reads MessagePack that someone else wrote, trusting nothing: see codec.h.
//
// Every method that reads answers false when the bytes are not what it was asked for; the first
// failure is kept, with the byte it was found at, and all later reads fail. A length is believed
// only as far as the bytes that are there can back it, so that no input makes the reader allocate
// more than a small multiple of its own size. (A little long because all methods are inline: guests
// compile them, too.)
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <aloft/result.h>

namespace aloft::codec {

// Whether an Image that is read points at the bytes it was read from, or has pixels of its own. (A
// string_view or a span can only point.)
enum class Views : std::uint8_t { borrow, own };

class Reader {
 public:
  // Borrows `bytes` for as long as the reader and the views read from it are used.
  explicit Reader(std::span<const std::byte> bytes, Views views = Views::borrow)
      : bytes_(bytes), views_(views) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() {
    for (const Kept& kept : kept_) kept.destroy(kept.elements);
  }

  [[nodiscard]] Views views() const { return views_; }
  [[nodiscard]] std::size_t remaining() const { return bytes_.size() - at_; }

  // Whether a nil is next; takes it if so. Never a failure.
  [[nodiscard]] bool take_nil() {
    if (failed() || remaining() == 0 || peek() != 0xc0) return false;
    ++at_;
    return true;
  }

  [[nodiscard]] bool nil() { return take_nil() || (more("nil") && unexpected("nil")); }
  [[nodiscard]] bool boolean(bool& value) {
    if (!more("a boolean")) return false;
    const std::uint8_t tag = peek();
    if (tag != 0xc2 && tag != 0xc3) return unexpected("a boolean");
    ++at_;
    value = tag == 0xc3;
    return true;
  }

  // Any integer that fits T, whichever form it was written in.
  template <class T>
  [[nodiscard]] bool integer(T& value) {
    const std::size_t start = at_;
    std::uint64_t bits = 0;
    bool negative = false;
    if (!any_integer(bits, negative)) return false;
    const bool fits =
        negative ? std::in_range<T>(static_cast<std::int64_t>(bits)) : std::in_range<T>(bits);
    if (!fits) return fail(start, "an integer that is outside its type's range");
    value = static_cast<T>(bits);
    return true;
  }

  [[nodiscard]] bool float32(float& value) {
    if (!more("a 32-bit float")) return false;
    if (peek() != 0xca) return unexpected("a 32-bit float");
    std::uint64_t bits = 0;
    if (!number(4, bits)) return false;
    value = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    return true;
  }
  // A 32-bit float is taken too: it loses nothing.
  [[nodiscard]] bool float64(double& value) {
    if (!more("a float")) return false;
    std::uint64_t bits = 0;
    if (peek() == 0xca) {
      if (!number(4, bits)) return false;
      value = double{std::bit_cast<float>(static_cast<std::uint32_t>(bits))};
      return true;
    }
    if (peek() != 0xcb) return unexpected("a float");
    if (!number(8, bits)) return false;
    value = std::bit_cast<double>(bits);
    return true;
  }

  // In place. The text need not be UTF-8, as a std::string need not be.
  [[nodiscard]] bool string(std::string_view& text) {
    std::uint64_t size = 0;
    std::span<const std::byte> data;
    if (!length("a string",
                {.fix = 0xa0, .fix_mask = 0xe0, .tag8 = 0xd9, .tag16 = 0xda, .tag32 = 0xdb},
                size) ||
        !take(size, data)) {
      return false;
    }
    text = {reinterpret_cast<const char*>(data.data()), data.size()};
    return true;
  }
  // In place.
  [[nodiscard]] bool binary(std::span<const std::byte>& data) {
    std::uint64_t size = 0;
    return length("bytes", {.tag8 = 0xc4, .tag16 = 0xc5, .tag32 = 0xc6}, size) && take(size, data);
  }

  // The head of an array (or map) whose elements (or pairs) take at least `min_bytes` each.
  [[nodiscard]] bool array(std::size_t min_bytes, std::size_t& count) {
    return counted("an array", {.fix = 0x90, .fix_mask = 0xf0, .tag16 = 0xdc, .tag32 = 0xdd},
                   min_bytes, count);
  }
  [[nodiscard]] bool map(std::size_t min_bytes, std::size_t& count) {
    return counted("a map", {.fix = 0x80, .fix_mask = 0xf0, .tag16 = 0xde, .tag32 = 0xdf},
                   min_bytes, count);
  }
  // The head of an array of exactly `count` values.
  [[nodiscard]] bool array_of(std::size_t count) {
    const std::size_t start = at_;
    std::size_t found = 0;
    if (!array(0, found)) return false;
    return found == count || fail(start, "an array of another length");
  }

  // Whether everything was read; bytes left over are a failure.
  [[nodiscard]] bool finish() {
    return !failed() && (remaining() == 0 || fail(at_, "more bytes than the value has"));
  }

  // Storage for `count` elements that a view is to point at, as long as this reader lives.
  template <class T>
  [[nodiscard]] T* keep(std::size_t count) {
    T* elements = new T[count]();
    kept_.push_back({elements, [](void* p) { delete[] static_cast<T*>(p); }});
    return elements;
  }

  // Marks the reader failed for what was found at the byte `at`, a literal that completes "byte 7:
  // ..."; answers false.
  bool fail(std::size_t at, const char* what) {
    if (!failed()) {
      failure_ = what;
      failed_at_ = at;
    }
    return false;
  }
  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] bool failed() const { return failure_ != nullptr; }
  // The first failure, e.g. "byte 12: expected a string, found an integer". Only after one.
  [[nodiscard]] Error error() const {
    std::string message = "byte " + std::to_string(failed_at_) + ": ";
    if (found_ != nullptr)
      message.append("expected ").append(failure_).append(", found ").append(found_);
    else
      message.append(failure_ == nullptr ? "no failure" : failure_);
    return {Errc::protocol, std::move(message)};
  }

 private:
  struct Kept {
    void* elements;
    void (*destroy)(void*);
  };
  // The tags of one kind of length; 0 where the kind has no such form.
  struct Lengths {
    std::uint8_t fix = 0, fix_mask = 0, tag8 = 0, tag16 = 0, tag32 = 0;
  };

  [[nodiscard]] std::uint8_t peek() const { return std::to_integer<std::uint8_t>(bytes_[at_]); }

  bool more(const char* expected) {
    if (failed()) return false;
    if (remaining() > 0) return true;
    found_ = "the end";
    return fail(at_, expected);
  }

  bool unexpected(const char* expected) {
    found_ = kind(peek());
    return fail(at_, expected);
  }

  // The `width` bytes after a tag, as a big-endian number; takes both.
  bool number(std::size_t width, std::uint64_t& value) {
    if (remaining() < 1 + width) return fail(at_, "the bytes end within a number");
    value = 0;
    for (std::size_t i = 1; i <= width; ++i)
      value = value << 8 | std::to_integer<std::uint64_t>(bytes_[at_ + i]);
    at_ += 1 + width;
    return true;
  }

  bool any_integer(std::uint64_t& bits, bool& negative) {
    if (!more("an integer")) return false;
    const std::uint8_t tag = peek();
    if (tag < 0x80 || tag >= 0xe0) {
      ++at_;
      negative = tag >= 0xe0;
      bits = negative ? tag | ~std::uint64_t{0xff} : tag;
      return true;
    }
    if (tag < 0xcc || tag > 0xd3) return unexpected("an integer");
    const std::size_t width = std::size_t{1} << ((tag - 0xcc) & 3);
    if (!number(width, bits)) return false;
    const std::uint64_t sign = std::uint64_t{1} << (8 * width - 1);
    negative = tag >= 0xd0 && (bits & sign) != 0;
    if (negative) bits |= ~(sign - 1);
    return true;
  }

  bool length(const char* expected, const Lengths& lengths, std::uint64_t& size) {
    if (!more(expected)) return false;
    const std::uint8_t tag = peek();
    if (lengths.fix_mask != 0 && (tag & lengths.fix_mask) == lengths.fix) {
      ++at_;
      size = static_cast<std::uint8_t>(tag & ~lengths.fix_mask);
      return true;
    }
    if (lengths.tag8 != 0 && tag == lengths.tag8) return number(1, size);
    if (tag == lengths.tag16) return number(2, size);
    if (tag == lengths.tag32) return number(4, size);
    return unexpected(expected);
  }

  bool counted(const char* expected, const Lengths& lengths, std::size_t min_bytes,
               std::size_t& count) {
    const std::size_t start = at_;
    std::uint64_t size = 0;
    if (!length(expected, lengths, size)) return false;
    if (min_bytes != 0 && size > remaining() / min_bytes)
      return fail(start, "a length that the bytes cannot back");
    count = static_cast<std::size_t>(size);
    return true;
  }

  bool take(std::uint64_t size, std::span<const std::byte>& data) {
    if (size > remaining()) return fail(at_, "a length that the bytes cannot back");
    data = bytes_.subspan(at_, static_cast<std::size_t>(size));
    at_ += data.size();
    return true;
  }

  static const char* kind(std::uint8_t tag) {
    if (tag < 0x80 || tag >= 0xe0 || (tag >= 0xcc && tag <= 0xd3)) return "an integer";
    if (tag < 0x90 || tag == 0xde || tag == 0xdf) return "a map";
    if (tag < 0xa0 || tag == 0xdc || tag == 0xdd) return "an array";
    if (tag < 0xc0 || (tag >= 0xd9 && tag <= 0xdb)) return "a string";
    if (tag == 0xc0) return "nil";
    if (tag == 0xc2 || tag == 0xc3) return "a boolean";
    if (tag >= 0xc4 && tag <= 0xc6) return "bytes";
    if (tag == 0xca || tag == 0xcb) return "a float";
    return "a tag that is not used here";
  }

  std::span<const std::byte> bytes_;
  Views views_;
  std::size_t at_ = 0;
  const char* failure_ = nullptr;
  const char* found_ = nullptr;
  std::size_t failed_at_ = 0;
  std::vector<Kept> kept_;
};

}  // namespace aloft::codec
