// Base64 (RFC 4648) in its two forms: with padding, as signatures and passwords are written, and
// for URLs without, as JSON Web Tokens have it. Strict: each text has one reading, and each value
// one text.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aloft::identity {

[[nodiscard]] std::string to_base64(std::span<const std::byte> bytes);
[[nodiscard]] std::string to_base64url(std::span<const std::byte> bytes);
// None: a character that is not of the alphabet (white space, padding where there is none), a
// length that cannot be, or bits at the end that are not 0.
[[nodiscard]] std::optional<std::vector<std::byte>> from_base64(std::string_view text);
[[nodiscard]] std::optional<std::vector<std::byte>> from_base64url(std::string_view text);

}  // namespace aloft::identity
