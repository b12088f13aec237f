#include "compiler/emit_text.h"

#include <algorithm>

#include "base/digest.h"
#include "compiler/home_source.h"

namespace aloft::compiler {

namespace {

std::string parameter_type(const Parameter& parameter) {
  return parameter.passing == Passing::by_value ? parameter.type.spelling
                                                : "const " + parameter.type.spelling + "&";
}

}  // namespace

std::string literal(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\"";
}

std::string line_directive(unsigned line, const std::string& file) {
  return "#line " + std::to_string(line) + " " + literal(file) + "\n";
}

std::string parameter_types(const Function& function) {
  std::string out;
  for (const Parameter& parameter : function.parameters) {
    out += (out.empty() ? "" : ", ") + parameter_type(parameter);
  }
  return out;
}

std::string result_and_parameters(const Function& function) {
  const std::string types = parameter_types(function);
  return function.result.spelling + (types.empty() ? "" : ", " + types);
}

std::string result_value(const Function& function) {
  return function.result.spelling == "void" ? "::std::monostate" : function.result.spelling;
}

std::string parameter_list(const Function& function) {
  std::string out;
  if (function.method)
    out = (function.method->is_const ? "const " : "") + function.method->class_spelling +
          "& aloft_object";
  for (std::size_t i = 0; i < function.parameters.size(); ++i) {
    out += (out.empty() ? "" : ", ") + parameter_type(function.parameters[i]) + " aloft_" +
           std::to_string(i);
  }
  return out;
}

std::string declarator(const Function& function, std::string_view suffix) {
  return function.name + std::string(suffix) + "(" + parameter_list(function) + ")" +
         (function.is_noexcept ? " noexcept" : "");
}

std::string open(std::span<const Scope> scopes) {
  std::string out;
  for (const Scope& scope : scopes) {
    out += (scope.kind == Scope::Kind::inline_namespace ? "inline namespace " : "namespace ") +
           scope.name + " { ";
  }
  return out;
}

std::string close(std::span<const Scope> scopes) {
  std::string out;
  for (std::size_t i = 0; i < scopes.size(); ++i) out += " }";
  return out;
}

std::string global_name(const Function& function) { return "::" + function.qualified_name; }

std::vector<Scope> namespaces(const Function& function) {
  std::vector<Scope> result;
  for (const Scope& scope : function.scopes) {
    if (scope.kind != Scope::Kind::record) result.push_back(scope);
  }
  return result;
}

std::string pointer_to(const Function& function, std::string_view suffix) {
  const bool is_const = function.method && function.method->is_const;
  const std::string whose = function.method ? function.method->class_spelling + "::*" : "*";
  return "static_cast<" + function.result.spelling + " (" + whose + ")(" +
         parameter_types(function) + ")" + (is_const ? " const" : "") + ">(&" +
         global_name(function) + std::string(suffix) + ")";
}

std::string passed_on(const Function& function, Names names) {
  std::string out;
  for (std::size_t i = 0; i < function.parameters.size(); ++i) {
    const Parameter& parameter = function.parameters[i];
    const bool is_written = names == Names::written && !parameter.name.empty();
    const std::string name = is_written ? parameter.name : "aloft_" + std::to_string(i);
    out += ", " + (parameter.passing == Passing::by_value
                       ? "static_cast<" + parameter.type.spelling + "&&>(" + name + ")"
                       : name);
  }
  return out;
}

std::string internal_namespace(const std::string& module_name) {
  return "aloft_module_" + module_name;
}

namespace {

constexpr std::string_view kCallHomeHead =
    "template <unsigned N, class R, class... P> R call(P&&... arguments)";
constexpr std::string_view kMethodHomeHead =
    "template <unsigned N, class R, class T, class... P> R method(T& object, P&&... arguments)";

}  // namespace

// Below aloft, whose functions bodies may call wherever they are defined.
std::string home_namespace(const std::string& module_name) {
  return "aloft::detail::home_of_" + module_name;
}

std::string declare_home(const std::string& module_name) {
  return "namespace " + home_namespace(module_name) + " {\n" + std::string(kCallHomeHead) + ";\n" +
         std::string(kMethodHomeHead) + ";\n}\n";
}

std::string define_home(const std::string& module_name) {
  const std::string function = "guest(), ::" + internal_namespace(module_name) + "::functions[N], ";
  // Never destroyed: calls may come until the program has ended.
  return "extern \"C\" const ::aloft_translated_module " + home_symbol(module_name) +
         ";\nnamespace " + home_namespace(module_name) +
         " {\nTranslatedGuest& guest() {\n  static auto* const made = new TranslatedGuest(::" +
         home_symbol(module_name) + ");\n  return *made;\n}\n" + std::string(kCallHomeHead) +
         " {\n  return call_translated<R>(" + function + "arguments...);\n}\n" +
         std::string(kMethodHomeHead) + " {\n  return call_translated_method<R>(" + function +
         "object, arguments...);\n}\n}\n";
}

std::string module_name_of(const Module& module) { return "::" + internal_namespace(module.name); }

std::string descriptor_of(const Module& module, std::size_t index) {
  return module_name_of(module) + "::functions[" + std::to_string(index) + "]";
}

std::vector<const Type*> types_of(std::span<const Function* const> functions) {
  std::vector<const Type*> types;
  for (const Function* function : functions) {
    types.push_back(&function->result);
    for (const Parameter& parameter : function->parameters) types.push_back(&parameter.type);
  }
  return types;
}

std::vector<const Type*> types_of(const Source& source) {
  std::vector<const Function*> functions;
  for (const Function& function : source.functions) functions.push_back(&function);
  std::vector<const Type*> types = types_of(functions);
  for (const Class& of : source.classes) {
    for (const Field& field : of.state) types.push_back(&field.type);
  }
  return types;
}

std::string emit_fields(std::span<const Type* const> types) {
  std::vector<const Record*> records;
  for (const Type* type : types) {
    for (const Record& record : type->records) {
      const bool known = std::ranges::any_of(
          records, [&](const Record* other) { return other->spelling == record.spelling; });
      if (!known) records.push_back(&record);
    }
  }
  std::string out;
  for (const Record* record : records) {
    const std::string guard =
        "ALOFT_FIELDS_" + sha256(std::as_bytes(std::span(record->spelling))).hex().substr(0, 16) +
        "\n";
    out += "#ifndef " + guard + "#define " + guard + "template <>\nstruct aloft::codec::Fields<" +
           record->spelling + "> {\n  static constexpr auto members = ::std::tuple{";
    for (const std::string& member : record->members) {
      out += (member == record->members.front() ? "&" : ", &") + record->spelling + "::" + member;
    }
    out += "};\n};\n#endif\n";
  }
  return out;
}

}  // namespace aloft::compiler
