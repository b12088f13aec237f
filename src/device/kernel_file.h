// A small file of the kernel's (/sys, /proc) that is read again and again: stays open, and is read
// from its beginning into memory of the caller's.
#pragma once

#include <array>
#include <cctype>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include "base/descriptor.h"

namespace aloft::device {

// Thread rule: one thread at a time.
class KernelFile {
 public:
  KernelFile() = default;
  // One that cannot be opened answers nothing.
  explicit KernelFile(const std::filesystem::path& path)
      : file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}

  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(file_); }

  // The beginning of the file, as far as there is room; empty: it cannot be read, or has gone.
  template <std::size_t N>
  [[nodiscard]] std::string_view read(std::array<char, N>& room) const {
    if (!file_) return {};
    const ssize_t size = ::pread(file_.get(), room.data(), room.size(), 0);
    return size <= 0 ? std::string_view()
                     : std::string_view(room.data(), static_cast<std::size_t>(size));
  }
  // Without the end of the line.
  [[nodiscard]] std::string first_line() const {
    std::array<char, 256> room;
    const std::string_view text = read(room);
    return std::string(text.substr(0, text.find('\n')));
  }
  // The number that it begins with. Sensors that are switched off answer an error or nonsense.
  template <class Number>
  [[nodiscard]] std::optional<Number> number() const {
    std::array<char, 64> room;
    const std::string_view text = read(room);
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) return std::nullopt;
    if (end != text.data() + text.size() && *end != '\n' && *end != ' ') return std::nullopt;
    return value;
  }

 private:
  Descriptor file_;
};

}  // namespace aloft::device
