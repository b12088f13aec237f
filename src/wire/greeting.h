// The handshake: the first bytes in each direction of a link. docs/wire.md is normative.
//
// The side that connects sends HELLO with the wire versions that it speaks; the other answers
// WELCOME with the one that both will speak, or REFUSED. This layout is the same in all versions
// for ever: it is what lets two ends that share no version tell each other so. The first eight
// bytes are unlike any text protocol, so that each end notices at once that the other speaks
// something else; the CR LF in it catches a link that changes line ends. Numbers are little endian.
//
//      0               1               2               3
//     +---------------+---------------+---------------+---------------+
//   0 | 89            | 'A'           | 'L'           | 'O'           |
//     +---------------+---------------+---------------+---------------+
//   4 | 'F'           | 'T'           | 0d            | 0a            |
//     +---------------+---------------+-------------------------------+
//   8 | kind          | credit        | code: Errc, REFUSED only      |
//     +---------------+---------------+-------------------------------+
//  12 | version_min                   | version_max                   |
//     +-------------------------------+-------------------------------+
//  16 | length: bytes of payload that follow                          |
//     +---------------------------------------------------------------+
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <aloft/result.h>

namespace aloft::wire {

// Versions of what follows the handshake: frames and what they mean.
struct VersionRange {
  std::uint16_t min = 1;
  std::uint16_t max = 1;

  friend bool operator==(const VersionRange&, const VersionRange&) = default;
};
inline constexpr VersionRange kVersions{1, 1};  // what this code speaks

inline constexpr std::size_t kGreetingSize = 20;  // bytes, without the payload
inline constexpr std::size_t kMaxHello = 4096;    // bytes of payload, fits any fresh socket
inline constexpr std::size_t kMaxRefusal = 1024;  // bytes of text

enum class GreetingKind : std::uint8_t { hello = 1, welcome = 2, refused = 3 };

// Whether the sender of this greeting wants each message towards it covered by a credit that it
// granted.
enum class CreditRule : std::uint8_t { required = 1, not_required = 2 };

// The fixed part of a greeting.
struct Greeting {
  GreetingKind kind = GreetingKind::hello;
  CreditRule credit = CreditRule::required;  // hello and welcome
  Errc code = Errc::refused;                 // refused
  VersionRange versions;                     // welcome: min == max, the one that was chosen
  std::uint32_t length = 0;                  // bytes of payload

  friend bool operator==(const Greeting&, const Greeting&) = default;
};

using GreetingBytes = std::array<std::byte, kGreetingSize>;
[[nodiscard]] GreetingBytes pack(const Greeting& greeting);

// Errors: protocol, naming the field; a code that this version does not know becomes
// Errc::internal.
[[nodiscard]] Result<Greeting> unpack(std::span<const std::byte, kGreetingSize> bytes);

// A greeting with its payload. `hello` is at most kMaxHello bytes; a refusal's text is cut at
// kMaxRefusal.
[[nodiscard]] std::vector<std::byte> pack_hello(VersionRange versions, CreditRule credit,
                                                std::span<const std::byte> hello);
[[nodiscard]] std::vector<std::byte> pack_welcome(std::uint16_t version, CreditRule credit,
                                                  std::span<const std::byte> hello);
[[nodiscard]] std::vector<std::byte> pack_refused(VersionRange versions, const Error& why);

// Looks at the first bytes of a greeting as they come in. Errors: protocol, if they cannot be the
// start of one; the message quotes them, so that a person sees which protocol it is.
[[nodiscard]] Result<void> check_start(std::span<const std::byte> bytes);

// The highest version in both ranges. Errors: version_mismatch, naming both ranges.
[[nodiscard]] Result<std::uint16_t> choose_version(VersionRange ours, VersionRange peers);

}  // namespace aloft::wire
