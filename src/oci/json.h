// JSON from whoever: parsed with bounds, read without exceptions. For the sources of this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <aloft/result.h>

namespace aloft::oci {

using Json = nlohmann::json;

// No document of ours, or that we read, is nested deeper: one that is would be an attack on whoever
// walks it.
inline constexpr int kMaxJsonDepth = 16;

// `what` names the document in the message. The caller has bounded its size. Errors: corrupt.
[[nodiscard]] Result<Json> parse_json(std::span<const std::byte> bytes, std::string_view what);

// A member of an object; null when `json` is none, or has no such member.
[[nodiscard]] const Json* member(const Json& json, const char* name);
// A member that is a text; null when it is not there or something else.
[[nodiscard]] const std::string* text(const Json& json, const char* name);
// A member that is a whole number, not negative.
[[nodiscard]] std::optional<std::uint64_t> number(const Json& json, const char* name);

// Without spaces, members sorted: the same value gives the same bytes.
[[nodiscard]] std::vector<std::byte> json_bytes(const Json& json);

// What somebody else wrote, fit for a message: printable ASCII alone, at most 200 characters.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace aloft::oci
