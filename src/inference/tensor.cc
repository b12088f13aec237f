#include "inference/tensor.h"

#include <limits>

namespace aloft::inference {

std::string_view to_string(nn::ElementType type) {
  switch (type) {
    case nn::ElementType::f16: return "f16";
    case nn::ElementType::f32: return "f32";
    case nn::ElementType::f64: return "f64";
    case nn::ElementType::u8: return "u8";
    case nn::ElementType::i32: return "i32";
    case nn::ElementType::i64: return "i64";
  }
  return "?";
}

std::optional<std::uint64_t> byte_size(nn::ElementType type, std::span<const std::uint32_t> dims) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  std::uint64_t bytes = element_size(type);
  for (const std::uint32_t dim : dims) {
    if (dim != 0 && bytes > kMost / dim) return std::nullopt;
    bytes *= dim;
  }
  return bytes;
}

std::string describe(nn::ElementType type, std::span<const std::uint32_t> dims) {
  std::string text{to_string(type)};
  if (dims.empty()) return text + " scalar";
  char separator = ' ';
  for (const std::uint32_t dim : dims) {
    text += separator;
    text += dim == 0 ? "?" : std::to_string(dim);
    separator = 'x';
  }
  return text;
}

}  // namespace aloft::inference
