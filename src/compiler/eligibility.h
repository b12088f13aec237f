// Whether a tagged function can be elastic, judged by its declaration; every reason against it
// becomes a diagnostic that says what to do instead.
#pragma once

#include <optional>

#include <clang-c/Index.h>

#include "compiler/diagnostics.h"
#include "compiler/module_model.h"

namespace aloft::compiler {

// Whether the declaration `function` itself carries ALOFT_OFFLOAD.
[[nodiscard]] bool is_tagged(CXCursor function);

// Whether `cursor` declares a function of any kind: free, member, template, constructor.
[[nodiscard]] bool is_function(CXCursor cursor);

// The model of the tagged function that `definition` defines; nothing when it cannot be elastic,
// after saying why.
[[nodiscard]] std::optional<Function> model_function(CXCursor definition, Diagnostics& diagnostics);

// Says what keeps a tagged declaration without a body in sight from being elastic (a member, a
// template, ...). Answers whether anything does.
bool refuse_declaration(CXCursor declaration, Diagnostics& diagnostics);

}  // namespace aloft::compiler
