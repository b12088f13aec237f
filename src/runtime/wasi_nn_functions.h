// The functions of wasi-nn as guests import them; wasi_nn.h says what they work on.
#pragma once

#include <span>
#include <string_view>

#include "runtime/host_function.h"

namespace aloft::runtime {

inline constexpr std::string_view kWasiNnModule = "wasi_ephemeral_nn";
// All six. They live forever.
[[nodiscard]] std::span<const HostDefinition> wasi_nn_functions();

}  // namespace aloft::runtime
