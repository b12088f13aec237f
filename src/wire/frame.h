// The header of every frame on a link, after the handshake (greeting.h). docs/wire.md is normative.
//
// All frames have the same 16 bytes in front, so that a receiver reads a fixed number of bytes into
// memory of its own and knows from them alone where the rest goes. Numbers are little endian.
//
//      0               1               2               3
//     +---------------+---------------+-------------------------------+
//   0 | type          | flags         | head_size                     |
//     +---------------+---------------+-------------------------------+
//   4 | stream                                                        |
//     +---------------------------------------------------------------+
//   8 | length: bytes of payload that follow this header              |
//     +---------------------------------------------------------------+
//  12 | number                                                        |
//     +---------------------------------------------------------------+
//
//   type     flags        head_size    stream  length    number         payload
//   message  first, last  of the head  any     0..65536  body size      head, then body bytes
//   message  last or 0    0            any     1..65536  0              further body bytes
//   credit   0            0            not 0   0         capacity       none
//   reset    0            0            not 0   2..514    messages seen  an error (error_text.h)
//   ping     0            0            0       8         0              8 bytes of the sender's
//   pong     0            0            0       8         0              those of the ping
//   close    0            0            0       2..514    0              an error
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include <aloft/result.h>

namespace aloft::wire {

using StreamId = std::uint32_t;
inline constexpr StreamId kControlStream = 0;

inline constexpr std::size_t kHeaderSize = 16;              // bytes
inline constexpr std::size_t kMaxFragment = 64 * 1024;      // bytes of payload in one frame
inline constexpr std::size_t kMaxHead = 16 * 1024;          // bytes
inline constexpr std::size_t kMaxControlBody = 256 * 1024;  // bytes, stream 0 only
inline constexpr std::uint64_t kMaxBody = 0xFFFF'FFFF;      // bytes
inline constexpr std::size_t kPingSize = 8;                 // bytes of payload

enum class FrameType : std::uint8_t {
  message = 1,
  credit = 2,
  reset = 3,
  ping = 4,
  pong = 5,
  close = 6,
};

// Which part of its message a fragment is; the bits of `flags`.
enum class Part : std::uint8_t { middle = 0, first = 1, last = 2, whole = 3 };

[[nodiscard]] constexpr bool is_first(Part part) { return (static_cast<unsigned>(part) & 1U) != 0; }
[[nodiscard]] constexpr bool is_last(Part part) { return (static_cast<unsigned>(part) & 2U) != 0; }

struct FrameHeader {
  FrameType type = FrameType::message;
  Part part = Part::middle;     // `flags`
  std::uint16_t head_size = 0;  // bytes
  StreamId stream = kControlStream;
  std::uint32_t length = 0;  // bytes
  std::uint32_t number = 0;  // body size or capacity in bytes, or messages seen

  friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};

using HeaderBytes = std::array<std::byte, kHeaderSize>;

[[nodiscard]] HeaderBytes pack(const FrameHeader& header);

// Errors: protocol, naming the field, for every header that the table above does not allow. What
// depends on the frames before it (whether a message is under way on the stream, credit) is the
// receiver's to check.
[[nodiscard]] Result<FrameHeader> unpack(std::span<const std::byte, kHeaderSize> bytes);

}  // namespace aloft::wire
