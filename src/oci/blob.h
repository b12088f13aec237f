// Bytes to be pushed: in memory, or in a file that is too large for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "base/digest.h"
#include <aloft/result.h>

namespace aloft::oci {

// Thread rule: immutable, any thread. Cheap to copy.
class Blob {
 public:
  [[nodiscard]] static Blob of(std::vector<std::byte> bytes);
  // Reads the whole file once for its digest, and keeps it open. Errors: not_found, refused (not a
  // regular file), internal.
  [[nodiscard]] static Result<Blob> open(const std::filesystem::path& file);

  [[nodiscard]] const Digest& digest() const { return digest_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }  // bytes

  // Fills `into` from `offset` on; how many bytes it were, fewer only at the end. Errors: internal.
  // A file that is written to meanwhile gives other bytes than the digest says: whoever stores them
  // checks.
  [[nodiscard]] Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) const;

 private:
  struct File;
  Blob() = default;
  std::shared_ptr<const std::vector<std::byte>> memory_;
  std::shared_ptr<const File> file_;
  Digest digest_;
  std::uint64_t size_ = 0;
};

}  // namespace aloft::oci
