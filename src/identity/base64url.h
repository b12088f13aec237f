// Base64url without padding (RFC 4648, section 5), as JSON Web Tokens have it. Strict: each text
// has one reading, and each value one text.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aloft::identity {

[[nodiscard]] std::string to_base64url(std::span<const std::byte> bytes);
// None: a character that is not of the alphabet (padding, white space), a length that cannot be, or
// bits at the end that are not 0.
[[nodiscard]] std::optional<std::vector<std::byte>> from_base64url(std::string_view text);

}  // namespace aloft::identity
