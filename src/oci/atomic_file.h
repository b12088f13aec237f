// A file that appears under its name whole, or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include <aloft/result.h>

namespace aloft::oci {

// What unfinished files begin with, in the folder of the finished one: after a crash they are left
// there, and whoever owns the folder may remove old ones.
inline constexpr char kPartialPrefix[] = ".partial-";

// Dropped before commit(), it leaves nothing. Thread rule: one thread at a time. Errors of all:
// resource_exhausted (no room on the disk), not_found (no such folder), refused (may not write
// there), internal; they name the file.
class AtomicFile {
 public:
  [[nodiscard]] static Result<AtomicFile> create(std::filesystem::path path);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  [[nodiscard]] Result<void> write(std::span<const std::byte> bytes);
  // Waits until the bytes are on the disk, then names the file, in place of one that has the name.
  [[nodiscard]] Result<void> commit();

 private:
  AtomicFile(int fd, std::filesystem::path path, std::string partial)
      : fd_(fd), path_(std::move(path)), partial_(std::move(partial)) {}
  int fd_;  // -1: moved from or done
  std::filesystem::path path_;
  std::string partial_;
};

}  // namespace aloft::oci
