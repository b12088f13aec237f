// SHA-256: the name by which modules, models and tensors are known in every place.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <aloft/result.h>

namespace aloft {

// A SHA-256 as a value.
struct Digest {
  std::array<std::byte, 32> bytes{};

  // 64 hex digits, lower case.
  [[nodiscard]] std::string hex() const;
  // 64 hex digits of either case, also with "sha256:" before them. Errors: invalid_argument.
  [[nodiscard]] static Result<Digest> parse(std::string_view text);

  friend auto operator<=>(const Digest&, const Digest&) = default;
};

// Takes bytes piece by piece. Thread rule: one thread at a time.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  void update(std::span<const std::byte> bytes);
  // The digest of all bytes so far; starts anew.
  [[nodiscard]] Digest finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

[[nodiscard]] Digest sha256(std::span<const std::byte> bytes);

struct FileDigest {
  Digest digest;
  std::uint64_t size = 0;  // bytes
};
// Of a whole file, which is never held in memory at once. Errors: not_found when it cannot be
// opened, internal when it cannot be read.
[[nodiscard]] Result<FileDigest> sha256_file(const std::filesystem::path& path);

}  // namespace aloft
