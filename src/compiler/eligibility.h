// Whether a tagged function can be elastic, judged by its declaration; every reason against it
// becomes a diagnostic that says what to do instead.
#pragma once

#include <cstdint>
#include <optional>

#include <clang-c/Index.h>

#include "compiler/diagnostics.h"
#include "compiler/module_model.h"

namespace aloft::compiler {

// What the declaration `function` itself carries: ALOFT_OFFLOAD, ALOFT_OFFLOAD_ONCE.
enum class Tag : std::uint8_t { none, pure, once };
[[nodiscard]] Tag tag_of(CXCursor function);

// Whether `cursor` declares a function of any kind: free, member, template, constructor.
[[nodiscard]] bool is_function(CXCursor cursor);

// Where what a function does is written.
enum class Body : std::uint8_t {
  here,
  elsewhere,  // in another language: what is modelled is a declaration
};

// The model of the function or method that `definition` defines (or, with Body::elsewhere,
// declares), tagged so; nothing when it cannot be elastic, after saying why. A method's class gets
// its index from whoever has seen all.
[[nodiscard]] std::optional<Function> model_function(CXCursor definition, Tag tag, Body body,
                                                     Diagnostics& diagnostics);

// Says what keeps a tagged declaration without a body in sight from being elastic (a template, a
// static function, ...). Answers whether anything does.
bool refuse_declaration(CXCursor declaration, Tag tag, Diagnostics& diagnostics);

}  // namespace aloft::compiler
