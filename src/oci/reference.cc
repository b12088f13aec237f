#include "oci/reference.h"

#include <algorithm>

#include "oci/json.h"

namespace aloft::oci {

Result<Reference> Reference::of_tag(std::string_view tag) {
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  const bool ok =
      !tag.empty() && tag.size() <= 128 && is_word(tag.front()) &&
      std::ranges::all_of(tag, [&](char c) { return is_word(c) || c == '.' || c == '-'; });
  if (!ok) {
    return fail(Errc::invalid_argument,
                "no tag: '" + printable(tag) +
                    "' (up to 128 letters, digits, '_', '.' and '-', the last two not in front)");
  }
  return Reference(std::string(tag));
}

std::string Reference::text() const {
  if (const std::string* name = tag()) return *name;
  return "sha256:" + digest()->hex();
}

Reference content_tag(const Digest& content) {
  return Reference("content-sha256-" + content.hex());
}

Reference signature_tag(const Digest& manifest) {
  return Reference("sha256-" + manifest.hex() + ".sig");
}

}  // namespace aloft::oci
