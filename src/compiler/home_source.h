// A guest that runs on the device as well: the C that wasm2c makes of the sealed module, and what
// this writes around it, so that libaloft finds its exports and it finds its imports
// (aloft/detail/translated/module.h).
#pragma once

#include <string>
#include <string_view>

#include <aloft/result.h>

namespace aloft::compiler {

// The name of the module's aloft_translated_module.
[[nodiscard]] std::string home_symbol(std::string_view module);

// The C source that is compiled: it includes `translated`, the file beside it that wasm2c wrote for
// a module of this name, whose `header` this is. Errors: corrupt (that is no header of wasm2c
// 1.0.32's), refused (the guest imports something that is no function of 32 and 64 bit integers).
[[nodiscard]] Result<std::string> home_source(const std::string& module, std::string_view header,
                                              const std::string& translated);

}  // namespace aloft::compiler
