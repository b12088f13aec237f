// Whether a class tagged ALOFT_OFFLOAD_OBJECT can be an elastic object: whether all that it holds
// is declared by ALOFT_STATE, can cross, and is all there is of an object.
#pragma once

#include <optional>
#include <vector>

#include <clang-c/Index.h>

#include "compiler/diagnostics.h"
#include "compiler/module_model.h"

namespace aloft::compiler {

// Whether `declaration` is a class (a template, too) that carries ALOFT_OFFLOAD_OBJECT.
[[nodiscard]] bool is_object_class(CXCursor declaration);

// The model of such a class, by its definition; nothing when its state cannot be carried, after
// saying why. Its index is the caller's to set.
[[nodiscard]] std::optional<Class> model_class(CXCursor definition, Diagnostics& diagnostics);

// What else of the class runs in a guest besides its methods: its default constructor, where it is
// written out.
[[nodiscard]] std::vector<CXCursor> bodies_of_class(CXCursor definition);

}  // namespace aloft::compiler
