// A module that was made in another language, as its application sees it: a header of tagged
// declarations. What aloft-cc does with the sources of a C++ module, it can do with this header
// once there is a source that defines those functions. This writes it; each body says that there is
// no version on this device, or calls the guest that was translated for it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/diagnostics.h"
#include "compiler/module_model.h"
#include <aloft/result.h>

namespace aloft::compiler {

struct InterfaceRequest {
  std::string header;                  // path
  std::vector<std::string> arguments;  // for the compiler of this machine
  std::string module;                  // its name
  Home home = Home::none;
};

// The source's text; nothing when `diagnostics` has got errors. Tagged functions of headers that
// the header includes are other modules' business. Errors: internal (libclang itself failed).
[[nodiscard]] Result<std::optional<std::string>> interface_source(const InterfaceRequest& request,
                                                                  Diagnostics& diagnostics);

}  // namespace aloft::compiler
