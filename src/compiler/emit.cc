#include "compiler/emit.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "base/digest.h"

namespace aloft::compiler {

namespace {

constexpr std::string_view kHere = "_aloft_here";

// A string literal.
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

std::string parameter_type(const Parameter& parameter) {
  return parameter.passing == Passing::by_value ? parameter.type.spelling
                                                : "const " + parameter.type.spelling + "&";
}

std::string parameter_types(const Function& function) {
  std::string out;
  for (const Parameter& parameter : function.parameters) {
    out += (out.empty() ? "" : ", ") + parameter_type(parameter);
  }
  return out;
}

// "const ::aloft::Image& aloft_0, int aloft_1": names that no macro has.
std::string parameter_list(const Function& function) {
  std::string out;
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

// Something that stands in namespaces: "namespace a { inline namespace b {" and the braces that end
// it.
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

std::string internal_namespace(const std::string& module_name) {
  return "aloft_module_" + module_name;
}

// An insertion into, or a replacement of, the source's text.
struct Edit {
  std::size_t offset = 0;
  std::size_t removed = 0;
  std::string text;
};

// Goes on at `where` on a fresh line, so that what follows has the line and column it had.
std::string resume_at(const Location& where, unsigned column, const std::string& file) {
  return "\n" + line_directive(where.line, file) + std::string(column - 1, ' ');
}

std::string apply(std::string_view text, std::vector<Edit> edits) {
  std::ranges::sort(edits, {}, &Edit::offset);
  std::string out;
  std::size_t at = 0;
  for (const Edit& edit : edits) {
    out.append(text.substr(at, edit.offset - at)).append(edit.text);
    at = edit.offset + edit.removed;
  }
  return out.append(text.substr(at));
}

// What must be declared before the definition under its other name, or nothing.
std::string declarations_before(const Function& function, std::string_view text) {
  const std::span<const Scope> scopes = function.scopes;
  const std::span<const Scope> inner =
      scopes.subspan(std::min(function.lexical_scopes.size(), scopes.size()));
  const std::string result = function.result.spelling + " ";
  // A qualified definition needs its name declared in the namespace that it names.
  if (!inner.empty())
    return open(inner) + result + declarator(function, kHere) + ";" + close(inner);
  // Calls that follow in the same file need the dispatching function's declaration.
  if (!function.needs_declaration) return {};
  const std::size_t begin = function.definition.offset;
  return std::string(text.substr(begin, function.body.offset - begin)) + ";";
}

// The developer's text, then `tail`, of which compilers speak as of `file`.
std::string with_tail(const std::string& head, std::string_view text, const std::string& tail,
                      const std::string& file) {
  std::string out = head + std::string(text);
  if (!out.ends_with('\n')) out += "\n";
  const auto lines = static_cast<unsigned>(std::ranges::count(out, '\n'));
  out += line_directive(lines + 2, file);
  return out + tail;
}

// The specialisations of Fields for the aggregates of these functions. Each has a guard of its own,
// since a program may see the same type in the headers of several modules.
std::string emit_fields(std::span<const Function* const> functions) {
  std::vector<const Record*> records;
  const auto add = [&](const Type& type) {
    for (const Record& record : type.records) {
      const bool known = std::ranges::any_of(
          records, [&](const Record* other) { return other->spelling == record.spelling; });
      if (!known) records.push_back(&record);
    }
  };
  for (const Function* function : functions) {
    add(function->result);
    for (const Parameter& parameter : function->parameters) add(parameter.type);
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

std::vector<const Function*> pointers(const Source& source) {
  std::vector<const Function*> all;
  for (const Function& function : source.functions) all.push_back(&function);
  return all;
}

std::string emit_dispatch(const Module& module, const Function& function, std::size_t index) {
  const std::string types = parameter_types(function);
  const std::string& result = function.result.spelling;
  std::string arguments = "::" + internal_namespace(module.name) + "::functions[" +
                          std::to_string(index) + "],\n      static_cast<" + result + " (*)(" +
                          types + ")>(&" + global_name(function) + std::string(kHere) + ")";
  for (std::size_t i = 0; i < function.parameters.size(); ++i) {
    const Parameter& parameter = function.parameters[i];
    const std::string name = "aloft_" + std::to_string(i);
    arguments += ",\n      ";
    arguments += parameter.passing == Passing::by_value
                     ? "static_cast<" + parameter.type.spelling + "&&>(" + name + ")"
                     : name;
  }
  const std::string parameters = "<" + result + (types.empty() ? "" : ", " + types) + ">(\n      ";
  std::string out = open(function.scopes) + "\n";
  out += result + " " + declarator(function, "") + " {\n  return ::aloft::detail::call" +
         parameters + arguments + ");\n}\n";
  out += "::aloft::Future<" + result + "> " + function.name + "_async(" + parameter_list(function) +
         ") {\n  return ::aloft::detail::call_async" + parameters + arguments + ");\n}\n";
  return out + close(function.scopes) + "\n";
}

// The headers that declare the types of `function`; nothing when one is declared in a source of the
// module, where no other file can see it.
bool headers_of(const Module& module, const Function& function, std::vector<std::string>& headers) {
  std::vector<std::string> found = function.result.headers;
  for (const Parameter& parameter : function.parameters) {
    found.insert(found.end(), parameter.type.headers.begin(), parameter.type.headers.end());
  }
  for (const Source& source : module.sources) {
    if (std::ranges::find(found, source.path) != found.end()) return false;
  }
  for (const std::string& header : found) {
    if (std::ranges::find(headers, header) == headers.end()) headers.push_back(header);
  }
  return true;
}

constexpr std::string_view kGenerated =
    "// Written by aloft-cc. Changes are lost at the next build.\n";

}  // namespace

std::string emit_native(const Module& module, const Source& source, std::string_view text,
                        const std::string& file) {
  std::vector<Edit> edits;
  std::string dispatch;
  const std::vector<const Function*> all = module.functions();
  for (const Function& function : source.functions) {
    if (const std::string before = declarations_before(function, text); !before.empty()) {
      edits.push_back(
          {function.definition.offset, 0,
           before + resume_at(function.definition, function.definition.column, source.path)});
    }
    const auto after = static_cast<unsigned>(function.name_token.column + function.name.size());
    edits.push_back(
        {function.name_token.offset, function.name.size(),
         function.name + std::string(kHere) + resume_at(function.name_token, after, source.path)});
    const auto index = static_cast<std::size_t>(std::ranges::find(all, &function) - all.begin());
    dispatch += emit_dispatch(module, function, index);
  }
  std::string tail;
  if (!source.functions.empty()) {
    tail = "\n" + std::string(kGenerated) +
           "#include <tuple>\n\n#include <aloft/codec.h>\n#include <aloft/dispatch.h>\n\n";
    tail += emit_fields(pointers(source));
    tail += "namespace " + internal_namespace(module.name) +
            " { extern const ::aloft::FunctionDescriptor functions[]; }\n";
    tail += dispatch;
  }
  return with_tail(line_directive(1, source.path), apply(text, std::move(edits)), tail, file);
}

std::string emit_guest(const Source& source, std::string_view text, const std::string& file) {
  std::string tail;
  if (!source.functions.empty()) {
    tail = "\n" + std::string(kGenerated) +
           "#include <tuple>\n\n#include <aloft_guest/export.h>\n\n" +
           emit_fields(pointers(source));
  }
  for (const Function& function : source.functions) {
    const std::string types = parameter_types(function);
    tail += "extern \"C\" [[clang::export_name(\"" + function.export_name +
            "\")]]\nconst ::std::uint32_t* " + function.export_name +
            "(const ::std::byte* arguments, ::std::uint32_t size) {\n" +
            "  return ::aloft::guest::call<" + function.result.spelling +
            (types.empty() ? "" : ", " + types) + ">(\n      " + literal(function.qualified_name) +
            ",\n      static_cast<" + function.result.spelling + " (*)(" + types + ")>(&" +
            global_name(function) + "), arguments, size);\n}\n";
  }
  return with_tail(line_directive(1, source.path), text, tail, file);
}

std::string emit_header(const Module& module) {
  std::vector<std::string> headers;
  std::string declarations;
  std::vector<const Function*> offered;
  for (const Function* function : module.functions()) {
    if (!headers_of(module, *function, headers)) {
      declarations += "// " + function->qualified_name +
                      " has no asynchronous form here: its types are declared in its source.\n";
      continue;
    }
    offered.push_back(function);
    declarations += open(function->scopes) + "[[nodiscard]] ::aloft::Future<" +
                    function->result.spelling + "> " + function->name + "_async(" +
                    parameter_list(*function) + ");" + close(function->scopes) + "\n";
  }
  std::string out = "// The asynchronous forms of the functions of the module '" + module.name +
                    "'.\n" + std::string(kGenerated) +
                    "#pragma once\n\n#include <tuple>\n\n#include <aloft/codec.h>\n#include "
                    "<aloft/dispatch.h>\n\n";
  for (const std::string& header : headers) out += "#include " + literal(header) + "\n";
  return out + "\n" + emit_fields(offered) + "\n" + declarations;
}

std::string emit_descriptor(const Module& module) {
  const std::vector<const Function*> functions = module.functions();
  std::string out =
      std::string(kGenerated) +
      "#include <span>\n#include <string_view>\n\n#include <aloft/dispatch.h>\n\n#include \"" +
      module.name + ".digest.h\"\n\nnamespace " + internal_namespace(module.name) + " {\n\n";
  out += "extern const ::aloft::ModuleDescriptor descriptor;\n";
  out += "extern const ::aloft::FunctionDescriptor functions[];\n";
  out += "constinit const ::aloft::FunctionDescriptor functions[] = {\n";
  for (std::size_t i = 0; i < functions.size(); ++i) {
    out += "    {&descriptor, " + std::to_string(i) + ", " + literal(functions[i]->qualified_name) +
           ", " + literal(functions[i]->export_name) + ",\n     " +
           literal(functions[i]->signature_hash) + "},\n";
  }
  out += "};\n";
  if (!module.graphs.empty()) {
    out += "constexpr ::std::string_view graphs[] = {";
    for (const std::string& graph : module.graphs)
      out += (graph == module.graphs.front() ? "" : ", ") + literal(graph);
    out += "};\n";
  }
  out += "constinit const ::aloft::ModuleDescriptor descriptor = {" + literal(module.name) +
         ", digest,\n    ::std::span(functions, " + std::to_string(functions.size()) + "), " +
         (module.graphs.empty() ? "{}" : "graphs") + "};\n";
  out += "const ::aloft::detail::ModuleRegistration registration(descriptor);\n\n}  // namespace " +
         internal_namespace(module.name) + "\n";
  return out;
}

std::string emit_digest_header(const std::string& module_name, const std::string& digest) {
  return std::string(kGenerated) + "#pragma once\n\n#include <string_view>\n\nnamespace " +
         internal_namespace(module_name) +
         " {\n// Of the guest that was built with this program.\ninline constexpr "
         "::std::string_view digest =\n    " +
         literal(digest) + ";\n}\n";
}

}  // namespace aloft::compiler
