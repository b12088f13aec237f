// Reads the sources of a module, each once as this machine's compiler does and once as the guest's
// does, and makes the Module that the emitters work from, or says all that is wrong with it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/diagnostics.h"
#include "compiler/module_model.h"
#include <aloft/result.h>

namespace aloft::compiler {

struct ReadRequest {
  std::string name;                  // of the module: letters, digits, '_', beginning with a letter
  std::vector<std::string> sources;  // paths
  std::vector<std::string> host_arguments;   // for the compiler, both with -resource-dir
  std::vector<std::string> guest_arguments;  // none: the guest is not made from these sources
};

// The module; nothing when `diagnostics` has got errors. Errors: internal (libclang itself failed).
[[nodiscard]] Result<std::optional<Module>> read_module(const ReadRequest& request,
                                                        Diagnostics& diagnostics);

}  // namespace aloft::compiler
