#include "compiler/interface_source.h"

#include <filesystem>
#include <set>

#include "compiler/clang_ast.h"
#include "compiler/eligibility.h"
#include "compiler/emit_text.h"

namespace aloft::compiler {

namespace {

// "const ::aloft::Image& aloft_0, int aloft_1".
std::string parameters(const Function& function) {
  std::string out;
  for (std::size_t i = 0; i < function.parameters.size(); ++i) {
    const Parameter& parameter = function.parameters[i];
    const bool by_value = parameter.passing == Passing::by_value;
    out += (out.empty() ? "" : ", ") + std::string(by_value ? "" : "const ") +
           parameter.type.spelling + (by_value ? " " : "& ") + "aloft_" + std::to_string(i);
  }
  return out;
}

// Its name as its namespace says it: "Tracker::update".
std::string name_in_namespace(const Function& function) {
  std::string name;
  for (const Scope& scope : function.scopes) {
    if (scope.kind == Scope::Kind::record) name += scope.name + "::";
  }
  return name + function.name;
}

// Of the function with this number in the module.
std::string body(const Function& function, const InterfaceRequest& request, std::size_t number) {
  if (request.home == Home::none)
    return "::aloft::detail::no_version_here(" + literal(function.qualified_name) + ");";
  std::string arguments = function.method ? "*this" : "";
  for (std::size_t i = 0; i < function.parameters.size(); ++i)
    arguments += (arguments.empty() ? "aloft_" : ", aloft_") + std::to_string(i);
  return "return ::" + home_namespace(request.module) +
         "::" + std::string(function.method ? kMethodHome : kCallHome) + "<" +
         std::to_string(number) + ", " + function.result.spelling + ">(" + arguments + ");";
}

std::string definition(const Function& function, const std::string& body) {
  const std::vector<Scope> around = namespaces(function);
  return open(around) + function.result.spelling + " " + name_in_namespace(function) + "(" +
         parameters(function) + ")" +
         (function.method && function.method->is_const ? " const" : "") +
         (function.is_noexcept ? " noexcept" : "") + " {\n  " + body + "\n}" + close(around) + "\n";
}

}  // namespace

Result<std::optional<std::string>> interface_source(const InterfaceRequest& request,
                                                    Diagnostics& diagnostics) {
  const std::string header = std::filesystem::absolute(request.header).lexically_normal();
  const Index index;
  const Result<TranslationUnit> unit = TranslationUnit::parse(index, header, request.arguments);
  if (!unit) return std::unexpected(unit.error());
  for (CompileError& error : unit->errors()) diagnostics.add(std::move(error.diagnostic));
  if (diagnostics.has_errors()) return std::nullopt;

  std::string text = std::string(kGenerated) + "#include " + literal(header) + "\n";
  if (request.home == Home::none)
    text += "#include <aloft/detail/made_elsewhere.h>\n";
  else
    text += declare_home(request.module);
  std::size_t number = 0;
  std::set<std::string> seen;  // a declaration may be repeated
  visit_children(unit->root(), [&](CXCursor cursor) {
    if (!in_main_file(cursor)) return CXChildVisit_Continue;
    if (!is_function(cursor)) return CXChildVisit_Recurse;
    const Tag tag = tag_of(cursor);
    if (tag == Tag::none || !seen.insert(to_string(clang_getCursorUSR(cursor))).second)
      return CXChildVisit_Continue;
    if (clang_isCursorDefinition(cursor) != 0) {
      diagnostics.refuse(location(cursor),
                         "'" + qualified_name(cursor) +
                             "' has a body here, and its module is made in another language",
                         "declare it only, or drop the tag");
      return CXChildVisit_Continue;
    }
    if (const auto function = model_function(cursor, tag, Body::elsewhere, diagnostics))
      text += definition(*function, body(*function, request, number++));
    return CXChildVisit_Continue;
  });
  if (seen.empty()) {
    diagnostics.refuse({header, 0, 0, 0}, "nothing in the module's interface is tagged",
                       "put ALOFT_OFFLOAD before the declarations of its functions");
  }
  if (diagnostics.has_errors()) return std::nullopt;
  return text;
}

}  // namespace aloft::compiler
