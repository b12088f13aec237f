// Host functions as the engine links them. Private to this folder.
#pragma once

#include <span>
#include <string_view>

#include "runtime/host_function.h"
#include "runtime/wasmtime_handles.h"
#include <aloft/result.h>

namespace aloft::runtime {

// Defines all of them in `module`. Their bodies live forever.
[[nodiscard]] Result<void> define_host_functions(wasmtime_linker_t& linker, std::string_view module,
                                                 std::span<const HostDefinition> definitions);

}  // namespace aloft::runtime
