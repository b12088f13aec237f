// The text that both ends of a call must agree on, and its hash.
//
//   demo::detect_object(image,f32)->list<struct demo::Detection{x:f32,label:string}>
//
// How a parameter is passed (by value or by reference) is not part of it: the bytes are the same. A
// method that is const says so behind its parameters.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "compiler/module_model.h"

namespace aloft::compiler {

[[nodiscard]] std::string canonical_signature(const Function& function);

// Of a class's fields; states of one signature are the same bytes.
[[nodiscard]] std::string state_signature(const Class& of);

// The guest's name of a function: readable, and another one for each overload and each namespace.
[[nodiscard]] std::string export_name(std::string_view name, std::string_view signature_hash);

// The name without the hash that people can write who bring a guest of another language:
// "demo_Tracker_update" of demo::Tracker::update. Overloads have none of their own.
[[nodiscard]] std::string plain_export_name(std::string_view qualified_name);

}  // namespace aloft::compiler
