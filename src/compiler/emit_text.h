// The words that generated C++ is made of: how a module's functions, types and namespaces are said
// in it. Every name is said from global scope, so that the developer's code cannot change its
// meaning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/module_model.h"

namespace aloft::compiler {

// Appended to the name of a function's native definition.
inline constexpr std::string_view kHere = "_aloft_here";
inline constexpr std::string_view kGenerated =
    "// Written by aloft-cc. Changes are lost at the next build.\n";
// What every file of the module says, in its namespace, before it uses the module's descriptors.
inline constexpr std::string_view kExterns =
    "extern ::aloft::FunctionDescriptor functions[];\n"
    "extern const ::aloft::detail::ObjectClass objects[];\n";

// What the bodies of a module with a home call: the guest, translated. It is declared before them
// and defined behind them, where all types are known, in a namespace of the module's own.
[[nodiscard]] std::string home_namespace(const std::string& module_name);
inline constexpr std::string_view kCallHome = "call";
inline constexpr std::string_view kMethodHome = "method";
[[nodiscard]] std::string declare_home(const std::string& module_name);
[[nodiscard]] std::string define_home(const std::string& module_name);

// A string literal.
[[nodiscard]] std::string literal(std::string_view text);
[[nodiscard]] std::string line_directive(unsigned line, const std::string& file);
[[nodiscard]] std::string parameter_types(const Function& function);
// The same as template arguments after the result's: "int, const ::aloft::Image&".
[[nodiscard]] std::string result_and_parameters(const Function& function);
// The result as a value, for a Future.
[[nodiscard]] std::string result_value(const Function& function);
// "const ::aloft::Image& aloft_0, int aloft_1": names that no macro has. Of a method in the form
// of a function, the object comes first.
[[nodiscard]] std::string parameter_list(const Function& function);
[[nodiscard]] std::string declarator(const Function& function, std::string_view suffix);
// Something that stands in namespaces: "namespace a { inline namespace b {" and the braces that end
// it.
[[nodiscard]] std::string open(std::span<const Scope> scopes);
[[nodiscard]] std::string close(std::span<const Scope> scopes);
[[nodiscard]] std::string global_name(const Function& function);
// The namespaces around it.
[[nodiscard]] std::vector<Scope> namespaces(const Function& function);
// A pointer to the function of this name or to the method, the right one of its overloads.
[[nodiscard]] std::string pointer_to(const Function& function, std::string_view suffix);
// ", static_cast<int&&>(a), b": the arguments, passed on. Of a method's definition, under the names
// that they have there.
enum class Names : std::uint8_t { generated, written };
[[nodiscard]] std::string passed_on(const Function& function, Names names);
[[nodiscard]] std::string module_name_of(const Module& module);
// "::aloft_module_m::functions[3]".
[[nodiscard]] std::string descriptor_of(const Module& module, std::size_t index);
// The types that functions take and give.
[[nodiscard]] std::vector<const Type*> types_of(std::span<const Function* const> functions);
// All types whose bytes the code behind `source` reads or writes.
[[nodiscard]] std::vector<const Type*> types_of(const Source& source);
// The specialisations of Fields for the aggregates in these types. Each has a guard of its own,
// since a program may see the same type in the headers of several modules.
[[nodiscard]] std::string emit_fields(std::span<const Type* const> types);
// "aloft_module_NAME", where everything of the module stands.
[[nodiscard]] std::string internal_namespace(const std::string& module_name);

}  // namespace aloft::compiler
