// Base64 with padding (RFC 4648), as signatures and passwords are written.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aloft::oci {

[[nodiscard]] std::string to_base64(std::span<const std::byte> bytes);
// None: it is not base64.
[[nodiscard]] std::optional<std::vector<std::byte>> from_base64(std::string_view text);

}  // namespace aloft::oci
