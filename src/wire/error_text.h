// An Error as wire bytes: what RESET and CLOSE frames carry.
//
//    0               1               2               3
//   +-------------------------------+-------------------------------+
//   | code: Errc                    | text, UTF-8, 0 to 512 bytes ...
//   +-------------------------------+-------------------------------+
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <aloft/result.h>

namespace aloft::wire {

inline constexpr std::size_t kMaxErrorText = 512;  // bytes; longer text is cut
inline constexpr std::size_t kMinErrorSize = 2;    // bytes
inline constexpr std::size_t kMaxErrorSize = kMinErrorSize + kMaxErrorText;

// Never fails: text that is too long is cut at the end of a character.
[[nodiscard]] std::vector<std::byte> pack_error(const Error& error);

// A code that this version does not know becomes Errc::internal. Errors: protocol, if `bytes` is
// too short or too long, or the code is 0.
[[nodiscard]] Result<Error> unpack_error(std::span<const std::byte> bytes);

// The code of a peer's error, which may be one that only a later version knows.
[[nodiscard]] Errc errc_from_wire(std::uint16_t number);

// At most `limit` bytes of `text`, cut at the end of a character.
[[nodiscard]] std::string_view cut_text(std::string_view text, std::size_t limit);

// Text of a peer as it may be shown or logged: control characters, which could forge a line of a
// log, become spaces.
[[nodiscard]] std::string printable(std::span<const std::byte> bytes);
// The same of an error's message that has something in it which others chose, such as a name in a
// module; cut where it is longer than a line of a log, or the header of a reply, should be.
inline constexpr std::size_t kMaxLine = 1024;  // bytes
[[nodiscard]] std::string one_line(std::string_view text);

}  // namespace aloft::wire
