#include "support/golden.h"

#include <charconv>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

namespace aloft::testing {
namespace {

void read_hex(const std::string& line, GoldenVector& vector) {
  std::istringstream words(line.substr(0, line.find('#')));
  for (std::string word; words >> word;) {
    unsigned value = 0;
    const char* const end = word.data() + word.size();
    const auto [stopped, error] = std::from_chars(word.data(), end, value, 16);
    if (word.size() != 2 || error != std::errc{} || stopped != end) {
      ADD_FAILURE() << vector.name << ": '" << word << "' is no byte in two hex digits";
      return;
    }
    vector.bytes.push_back(static_cast<std::byte>(value));
  }
}

}  // namespace

std::string GoldenVector::text(const std::string& key) const {
  const auto found = fields.find(key);
  if (found != fields.end()) return found->second;
  ADD_FAILURE() << "golden vector " << name << " lacks the key '" << key << "'";
  return "";
}

unsigned long long GoldenVector::number(const std::string& key) const {
  const std::string value = text(key);
  unsigned long long number = 0;
  const char* const end = value.data() + value.size();
  const auto [stopped, error] = std::from_chars(value.data(), end, number);
  if (error != std::errc{} || stopped != end)
    ADD_FAILURE() << "golden vector " << name << ": " << key << " is no number: " << value;
  return number;
}

std::vector<GoldenVector> read_golden_vectors(const std::filesystem::path& file) {
  constexpr std::string_view kStart = "```golden ";
  std::vector<GoldenVector> vectors;
  std::ifstream in(file);
  EXPECT_TRUE(in) << "cannot read " << file;
  enum class In { text, fields, bytes } where = In::text;
  for (std::string line; std::getline(in, line);) {
    if (where == In::text) {
      if (!line.starts_with(kStart)) continue;
      vectors.push_back({.name = line.substr(kStart.size()), .fields = {}, .bytes = {}});
      where = In::fields;
    } else if (line == "```") {
      EXPECT_TRUE(where == In::bytes) << vectors.back().name << " has no `bytes:`";
      where = In::text;
    } else if (where == In::bytes) {
      read_hex(line, vectors.back());
    } else if (line == "bytes:") {
      where = In::bytes;
    } else if (const std::size_t colon = line.find(": "); colon != std::string::npos) {
      vectors.back().fields[line.substr(0, colon)] = line.substr(colon + 2);
    } else {
      ADD_FAILURE() << vectors.back().name << ": no `key: value`: " << line;
    }
  }
  EXPECT_TRUE(where == In::text) << "the last golden vector has no end";
  return vectors;
}

std::string hex(const std::vector<std::byte>& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0) text.push_back(i % 16 == 0 ? '\n' : ' ');
    text.push_back(kDigits[std::to_integer<unsigned>(bytes[i]) >> 4U]);
    text.push_back(kDigits[std::to_integer<unsigned>(bytes[i]) & 15U]);
  }
  return text;
}

}  // namespace aloft::testing
