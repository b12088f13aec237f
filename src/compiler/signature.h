// The text that both ends of a call must agree on, and its hash.
//
//   demo::detect_object(image,f32)->list<struct demo::Detection{x:f32,label:string}>
//
// How a parameter is passed (by value or by reference) is not part of it: the bytes are the same.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "compiler/module_model.h"

namespace aloft::compiler {

[[nodiscard]] std::string canonical_signature(std::string_view qualified_name, const Type& result,
                                              std::span<const Parameter> parameters);

// The guest's name of a function: readable, and another one for each overload and each namespace.
[[nodiscard]] std::string export_name(std::string_view name, std::string_view signature_hash);

}  // namespace aloft::compiler
