// Reads the worked examples of docs/wire.md, which the document's first section describes:
//
//     ```golden NAME
//     key: value
//     bytes:
//     89 41 4c 4f  # a comment
//     ```
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace aloft::testing {

struct GoldenVector {
  std::string name;
  std::map<std::string, std::string> fields;  // `kind` is always there
  std::vector<std::byte> bytes;

  // The value of a key; a test failure and "" where it is missing.
  [[nodiscard]] std::string text(const std::string& key) const;
  // The same as a number, decimal.
  [[nodiscard]] unsigned long long number(const std::string& key) const;
};

// All vectors of the file in its order. A block that cannot be read is a test failure.
[[nodiscard]] std::vector<GoldenVector> read_golden_vectors(const std::filesystem::path& file);

// Bytes as two hex digits each, 16 a line: what a test shows where bytes differ.
[[nodiscard]] std::string hex(const std::vector<std::byte>& bytes);

}  // namespace aloft::testing
