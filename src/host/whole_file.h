// A file's bytes at once: for what is small enough to be held, and checked before it is believed.
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

namespace aloft::host {

// None when there is no such file, or none that can be read whole.
[[nodiscard]] inline std::optional<std::vector<std::byte>> read_whole(
    const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  const auto size = in.tellg();
  if (!in || size < 0) return std::nullopt;
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  in.seekg(0).read(reinterpret_cast<char*>(bytes.data()), size);
  if (!in) return std::nullopt;
  return bytes;
}

}  // namespace aloft::host
