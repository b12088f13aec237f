// How a manifest is asked for: by a tag, which may move, or by its digest, which cannot.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "base/digest.h"
#include <aloft/result.h>

namespace aloft::oci {

// Thread rule: a value.
class Reference {
 public:
  // 1 to 128 of letters, digits, '_', '.' and '-', beginning with none of the last two. Errors:
  // invalid_argument.
  [[nodiscard]] static Result<Reference> of_tag(std::string_view tag);
  [[nodiscard]] static Reference of_digest(const Digest& manifest) { return Reference(manifest); }

  [[nodiscard]] const std::string* tag() const { return std::get_if<std::string>(&what_); }
  [[nodiscard]] const Digest* digest() const { return std::get_if<Digest>(&what_); }
  // The tag, or "sha256:" and 64 digits. Nothing in it needs quoting in a path or a URL.
  [[nodiscard]] std::string text() const;

 private:
  explicit Reference(std::string tag) : what_(std::move(tag)) {}
  explicit Reference(const Digest& digest) : what_(digest) {}
  std::variant<std::string, Digest> what_;

  friend Reference content_tag(const Digest& content);
  friend Reference signature_tag(const Digest& manifest);
};

// The tag under which an artifact is found by the digest of its content, its only layer:
// "content-sha256-" and 64 digits.
[[nodiscard]] Reference content_tag(const Digest& content);
// The tag of the signatures of a manifest, as cosign has it: "sha256-", 64 digits, ".sig".
[[nodiscard]] Reference signature_tag(const Digest& manifest);

}  // namespace aloft::oci
