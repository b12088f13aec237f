// Sizes and names of tensors, for whoever checks or describes one: element sizes, byte counts that
// cannot overflow, and shapes as people write them ("f32 1x3x640x640").
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <aloft/nn.h>

namespace aloft::inference {

// Bytes of one element.
[[nodiscard]] constexpr std::uint32_t element_size(nn::ElementType type) {
  switch (type) {
    case nn::ElementType::u8: return 1;
    case nn::ElementType::f16: return 2;
    case nn::ElementType::f32:
    case nn::ElementType::i32: return 4;
    case nn::ElementType::f64:
    case nn::ElementType::i64: return 8;
  }
  return 0;
}

// "f32" and so on; "?" for a number that is none of the enum's.
[[nodiscard]] std::string_view to_string(nn::ElementType type);

// Bytes of a packed tensor; nothing where the product does not fit into 63 bits. No dimensions: a
// scalar.
[[nodiscard]] std::optional<std::uint64_t> byte_size(nn::ElementType type,
                                                     std::span<const std::uint32_t> dims);

// "f32 1x3x640x640"; an open dimension (0) is written "?", a scalar "f32 scalar".
[[nodiscard]] std::string describe(nn::ElementType type, std::span<const std::uint32_t> dims);

}  // namespace aloft::inference
