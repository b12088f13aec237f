#include "compiler/clang_ast.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

namespace aloft::compiler {

namespace {

CXChildVisitResult visit_child(CXCursor cursor, CXCursor /*parent*/, CXClientData data) {
  return (*static_cast<const std::function<CXChildVisitResult(CXCursor)>*>(data))(cursor);
}

CXVisitorResult visit_field(CXCursor cursor, CXClientData data) {
  (*static_cast<const std::function<void(CXCursor)>*>(data))(cursor);
  return CXVisit_Continue;
}

void visit_inclusion(CXFile file, CXSourceLocation* /*stack*/, unsigned /*depth*/,
                     CXClientData data) {
  static_cast<std::vector<std::string>*>(data)->push_back(to_string(clang_getFileName(file)));
}

bool is_error(CXDiagnosticSeverity severity) {
  return severity == CXDiagnostic_Error || severity == CXDiagnostic_Fatal;
}

}  // namespace

std::string to_string(CXString text) {
  const char* c_text = clang_getCString(text);
  std::string copy = c_text == nullptr ? std::string() : std::string(c_text);
  clang_disposeString(text);
  return copy;
}

Result<TranslationUnit> TranslationUnit::parse(const Index& index, const std::string& file,
                                               const std::vector<std::string>& arguments) {
  std::vector<const char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
  CXTranslationUnit unit = nullptr;
  const CXErrorCode code = clang_parseTranslationUnit2(index.get(), file.c_str(), pointers.data(),
                                                       static_cast<int>(pointers.size()), nullptr,
                                                       0, CXTranslationUnit_KeepGoing, &unit);
  if (code != CXError_Success || unit == nullptr) {
    return fail(Errc::internal,
                file + ": libclang cannot read this file (error " + std::to_string(code) + ")");
  }
  return TranslationUnit(unit);
}

std::vector<CompileError> TranslationUnit::errors() const {
  std::vector<CompileError> errors;
  const unsigned count = clang_getNumDiagnostics(unit_.get());
  for (unsigned i = 0; i < count; ++i) {
    CXDiagnostic diagnostic = clang_getDiagnostic(unit_.get(), i);
    if (is_error(clang_getDiagnosticSeverity(diagnostic))) {
      const CXSourceLocation where = clang_getDiagnosticLocation(diagnostic);
      Diagnostic error{
          location(where), Severity::error, to_string(clang_getDiagnosticSpelling(diagnostic)), {}};
      CXDiagnosticSet children = clang_getChildDiagnostics(diagnostic);  // owned by the diagnostic
      for (unsigned n = 0; n < clang_getNumDiagnosticsInSet(children); ++n) {
        CXDiagnostic note = clang_getDiagnosticInSet(children, n);
        error.notes.push_back({location(clang_getDiagnosticLocation(note)),
                               to_string(clang_getDiagnosticSpelling(note))});
      }
      errors.push_back({std::move(error), clang_Location_isInSystemHeader(where) != 0});
    }
    clang_disposeDiagnostic(diagnostic);
  }
  return errors;
}

std::vector<std::string> TranslationUnit::files() const {
  std::vector<std::string> files;
  clang_getInclusions(unit_.get(), visit_inclusion, &files);
  // Through links: the compiler finds its library by paths such as /lib/gcc/../../include, where
  // /lib is one.
  for (std::string& file : files) {
    std::error_code error;
    const std::filesystem::path real = std::filesystem::canonical(file, error);
    if (!error) file = real;
  }
  std::ranges::sort(files);
  files.erase(std::ranges::unique(files).begin(), files.end());
  return files;
}

void visit_children(CXCursor cursor, const std::function<CXChildVisitResult(CXCursor)>& visit) {
  clang_visitChildren(cursor, visit_child,
                      const_cast<std::function<CXChildVisitResult(CXCursor)>*>(&visit));
}

void visit_fields(CXType record, const std::function<void(CXCursor)>& visit) {
  clang_Type_visitFields(record, visit_field, const_cast<std::function<void(CXCursor)>*>(&visit));
}

bool is_null(CXCursor cursor) { return clang_Cursor_isNull(cursor) != 0; }

std::string spelling(CXCursor cursor) { return to_string(clang_getCursorSpelling(cursor)); }

Location location(CXSourceLocation where) {
  CXFile file = nullptr;
  Location result;
  clang_getExpansionLocation(where, &file, &result.line, &result.column, &result.offset);
  if (file != nullptr)
    result.file = std::filesystem::path(to_string(clang_getFileName(file))).lexically_normal();
  return result;
}

Location location(CXCursor cursor) { return location(clang_getCursorLocation(cursor)); }

bool in_main_file(CXCursor cursor) {
  CXFile file = nullptr;
  unsigned offset = 0;
  clang_getExpansionLocation(clang_getCursorLocation(cursor), &file, nullptr, nullptr, &offset);
  const CXTranslationUnit unit = clang_Cursor_getTranslationUnit(cursor);
  return file != nullptr &&
         clang_Location_isFromMainFile(clang_getLocationForOffset(unit, file, offset)) != 0;
}

bool in_system_header(CXCursor cursor) {
  return clang_Location_isInSystemHeader(clang_getCursorLocation(cursor)) != 0;
}

std::vector<Scope> scopes(CXCursor cursor, Parents parents) {
  const auto parent_of = [&](CXCursor child) {
    return parents == Parents::semantic ? clang_getCursorSemanticParent(child)
                                        : clang_getCursorLexicalParent(child);
  };
  std::vector<Scope> result;
  for (CXCursor parent = parent_of(cursor);
       !is_null(parent) && clang_isInvalid(clang_getCursorKind(parent)) == 0 &&
       clang_getCursorKind(parent) != CXCursor_TranslationUnit;
       parent = parent_of(parent)) {
    const CXCursorKind kind = clang_getCursorKind(parent);
    if (kind == CXCursor_Namespace) {
      const bool is_inline = clang_Cursor_isInlineNamespace(parent) != 0;
      // An anonymous namespace's spelling is a description of it.
      result.push_back({clang_Cursor_isAnonymous(parent) != 0 ? std::string() : spelling(parent),
                        is_inline ? Scope::Kind::inline_namespace : Scope::Kind::name_space});
    } else if (kind == CXCursor_StructDecl || kind == CXCursor_ClassDecl ||
               kind == CXCursor_UnionDecl || kind == CXCursor_ClassTemplate ||
               kind == CXCursor_ClassTemplatePartialSpecialization) {
      result.push_back({spelling(parent), Scope::Kind::record});
    }
  }
  std::ranges::reverse(result);
  return result;
}

std::string qualified_name(CXCursor cursor) {
  std::string name;
  for (const Scope& scope : scopes(cursor)) {
    if (scope.name.empty() || scope.kind == Scope::Kind::inline_namespace) continue;
    name.append(scope.name).append("::");
  }
  return name + spelling(cursor);
}

std::string global_spelling(CXCursor declaration, CXType type) {
  std::string arguments;
  if (clang_Type_getNumTemplateArguments(type) > 0) {
    const std::string whole = to_string(clang_getTypeSpelling(type));
    arguments = whole.substr(std::min(whole.find('<'), whole.size()));
    for (const std::string_view anonymous : {"(anonymous namespace)::"}) {
      for (std::size_t at; (at = arguments.find(anonymous)) != std::string::npos;)
        arguments.erase(at, anonymous.size());
    }
  }
  return "::" + qualified_name(declaration) + arguments;
}

}  // namespace aloft::compiler
