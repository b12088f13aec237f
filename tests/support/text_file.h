// A file as text, for tests: what is not there, or cannot be read, is empty (files of /proc come
// and go). Where its absence is to be told, testing::read_file() tells it.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace aloft::testing {

[[nodiscard]] inline std::string read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace aloft::testing
