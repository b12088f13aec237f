// What the tests of identities share: bytes as text, and OpenSSL's program, which is the judge of
// what they make.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "support/process.h"
#include "support/temp_dir.h"

namespace aloft::identity::testing {

inline std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

inline std::string text_file(const std::filesystem::path& file) {
  const auto bytes = aloft::testing::read_file(file);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::string to_hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    text += "0123456789abcdef"[std::to_integer<unsigned>(byte >> 4)];
    text += "0123456789abcdef"[std::to_integer<unsigned>(byte & std::byte{15})];
  }
  return text;
}

inline std::vector<std::byte> from_hex(std::string_view text) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(
        static_cast<std::byte>(std::stoul(std::string(text.substr(i, 2)), nullptr, 16)));
  return bytes;
}

// Its exit status and what it said; -1: it could not be run.
struct Said {
  int status = -1;
  std::string output;
};
inline Said try_openssl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "openssl");
  auto process = aloft::testing::Process::start(std::move(arguments));
  if (!process) return {-1, process.error().message};
  const auto status = process->wait(std::chrono::seconds{60});
  return {status.value_or(-1), process->standard_output() + process->standard_error()};
}
inline void openssl(std::vector<std::string> arguments) {
  const Said said = try_openssl(std::move(arguments));
  ASSERT_EQ(said.status, 0) << said.output;
}

}  // namespace aloft::identity::testing
