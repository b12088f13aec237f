#include <algorithm>
#include <string>
#include <vector>

#include "compiler/emit.h"
#include "compiler/emit_text.h"

namespace aloft::compiler {

namespace {

// The headers that declare the types of `function`; nothing when one is declared in a source of the
// module, where no other file can see it.
bool headers_of(const Module& module, const Function& function, std::vector<std::string>& headers) {
  std::vector<std::string> found = function.result.headers;
  if (function.method) found.push_back(function.method->header);
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

}  // namespace

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
    const std::vector<Scope> around = namespaces(*function);
    declarations += open(around) + "[[nodiscard]] ::aloft::Future<" + result_value(*function) +
                    "> " + function->name + "_async(" + parameter_list(*function) + ");" +
                    close(around) + "\n";
  }
  std::string out =
      "// The asynchronous forms of the functions of the module '" + module.name + "'.\n" +
      std::string(kGenerated) +
      "#pragma once\n\n#include <tuple>\n#include <variant>\n\n#include <aloft/codec.h>\n#include "
      "<aloft/dispatch.h>\n\n";
  for (const std::string& header : headers) out += "#include " + literal(header) + "\n";
  return out + "\n" + emit_fields(types_of(offered)) + "\n" + declarations;
}

std::string emit_descriptor(const Module& module) {
  const std::vector<const Function*> functions = module.functions();
  const std::vector<const Class*> classes = module.classes();
  std::string out = std::string(kGenerated) +
                    "#include <cstddef>\n#include <memory>\n#include <span>\n#include "
                    "<string_view>\n#include <vector>\n\n#include "
                    "<aloft/detail/object_link.h>\n#include <aloft/dispatch.h>\n\n#include \"" +
                    module.name + ".digest.h\"\n\nnamespace " + internal_namespace(module.name) +
                    " {\n\n";
  out += "extern const ::aloft::ModuleDescriptor descriptor;\n" + std::string(kExterns);
  for (std::size_t i = 0; i < functions.size(); ++i) {
    const std::string number = std::to_string(i);
    out += "::aloft::Result<::std::vector<::std::byte>> run_encoded_" + number +
           "(void*, ::std::span<const ::std::byte>);\n::aloft::detail::Identity identity_" +
           number + "();\n";
    if (functions[i]->method) continue;
    out += "::aloft::Result<double> loss_between_" + number +
           "(const ::aloft::Loss&, ::std::span<const ::std::byte>, "
           "::std::span<const ::std::byte>);\n";
  }
  for (const Class* of : classes) {
    out += "::std::unique_ptr<::aloft::detail::NativeObject> native_" + std::to_string(of->index) +
           "(void*);\n";
  }
  if (!classes.empty()) {
    out += "constinit const ::aloft::detail::ObjectClass objects[] = {\n";
    for (const Class* of : classes) {
      const std::string number = std::to_string(of->index);
      out += "    {&descriptor, " + literal(of->qualified_name) + ", " + number + ",\n     " +
             literal(of->state_hash) + ",\n     &native_" + number + "},\n";
    }
    out += "};\n";
  }
  out += "constinit ::aloft::FunctionDescriptor functions[] = {\n";
  for (std::size_t i = 0; i < functions.size(); ++i) {
    const Function& function = *functions[i];
    const std::string number = std::to_string(i);
    out += "    {&descriptor, " + number + ", " + literal(function.qualified_name) + ", " +
           literal(function.export_name) + ",\n     " + literal(function.signature_hash) +
           ",\n     " +
           (function.method ? "&objects[" + std::to_string(function.method->object) + "]"
                            : "nullptr") +
           (function.once ? ", true" : ", false") + ", &run_encoded_" + number +
           (function.method ? "" : ", &loss_between_" + number) + "},\n";
  }
  out += "};\n";
  if (!module.graphs.empty()) {
    out += "constexpr ::std::string_view graphs[] = {";
    for (const std::string& graph : module.graphs)
      out += (graph == module.graphs.front() ? "" : ", ") + literal(graph);
    out += "};\n";
  }
  out += "constinit const ::aloft::ModuleDescriptor descriptor = {" + literal(module.name) +
         ", digest,\n    ::std::span<const ::aloft::FunctionDescriptor>(functions, " +
         std::to_string(functions.size()) + "), " + (module.graphs.empty() ? "{}" : "graphs") +
         ",\n    " + (classes.empty() ? "{}" : "objects") + "};\n";
  // Addresses of functions are no constants that could be looked into.
  out += "const ::aloft::ModuleDescriptor& identified() {\n";
  for (std::size_t i = 0; i < functions.size(); ++i) {
    const std::string number = std::to_string(i);
    out += "  functions[" + number + "].identity = identity_" + number + "();\n";
  }
  out += "  return descriptor;\n}\n";
  out +=
      "const ::aloft::detail::ModuleRegistration registration(identified());\n\n}  // namespace " +
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
