// What every engine says of an input that does not fit its model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "inference/engine.h"

namespace aloft::inference {

// Errors: invalid_argument (no such input, another type or shape, bytes that do not match it).
[[nodiscard]] Result<void> check_input(const std::vector<TensorInfo>& inputs, std::uint32_t index,
                                       const TensorView& tensor);
// "input 0 'x' was not set"
[[nodiscard]] std::string not_set(const std::vector<TensorInfo>& inputs, std::size_t index);

}  // namespace aloft::inference
