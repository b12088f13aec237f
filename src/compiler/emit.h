// What aloft-cc writes for a module. Every function gives the text of one file; writing it is the
// caller's.
//
// A native copy of a source holds the developer's text unchanged but for this: the name of each
// tagged function's definition gets "_aloft_here" appended, declarations are put before it where
// the language needs them, and the dispatching functions follow after the last line. A method's
// definition keeps its name, since a class has no room for another, and begins with a line that
// dispatches the call. `#line` directives and padding keep every token at its line and column, so
// that compilers, debuggers and sanitizers speak of the developer's file. A guest copy is the text
// with the exports after it.
#pragma once

#include <string>
#include <string_view>

#include "compiler/module_model.h"

namespace aloft::compiler {

// `source` is one of module.sources, of module.guest_sources for the guest; `text` is its text;
// `file` is where the result will be, for the `#line` of the generated part.
[[nodiscard]] std::string emit_native(const Module& module, const Source& source,
                                      std::string_view text, const std::string& file);
[[nodiscard]] std::string emit_guest(const Source& source, std::string_view text,
                                     const std::string& file);
// NAME.aloft.h: the `_async` twins, for applications.
[[nodiscard]] std::string emit_header(const Module& module);
// The module's descriptor; includes NAME.digest.h, which is written when the guest has been linked.
[[nodiscard]] std::string emit_descriptor(const Module& module);
[[nodiscard]] std::string emit_digest_header(const std::string& module_name,
                                             const std::string& digest);

}  // namespace aloft::compiler
