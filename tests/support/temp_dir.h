// A folder of a test's own, gone with everything in it when the test ends.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace aloft::testing {

class TempDir {
 public:
  TempDir();   // aborts the test program when the system gives no folder
  ~TempDir();  // never throws
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path operator/(std::string_view name) const {
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

// Whole files. A file that cannot be read or written aborts the test program with its name.
[[nodiscard]] std::vector<std::byte> read_file(const std::filesystem::path& file);
void write_file(const std::filesystem::path& file, std::span<const std::byte> bytes);

}  // namespace aloft::testing
