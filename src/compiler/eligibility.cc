#include "compiler/eligibility.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "base/digest.h"
#include "compiler/clang_ast.h"
#include "compiler/object_class.h"
#include "compiler/signature.h"

namespace aloft::compiler {

namespace {

std::string in_quotes(const std::string& name) { return "'" + name + "'"; }

bool has_child(CXCursor cursor, CXCursorKind kind) {
  bool found = false;
  visit_children(cursor, [&](CXCursor child) {
    found = found || clang_getCursorKind(child) == kind;
    return found ? CXChildVisit_Break : CXChildVisit_Continue;
  });
  return found;
}

bool has_token(CXTranslationUnit unit, CXSourceRange range, std::string_view text) {
  CXToken* tokens = nullptr;
  unsigned count = 0;
  clang_tokenize(unit, range, &tokens, &count);
  bool found = false;
  for (unsigned i = 0; i < count && !found; ++i)
    found = to_string(clang_getTokenSpelling(unit, tokens[i])) == text;
  clang_disposeTokens(unit, tokens, count);
  return found;
}

// Whether `specifier` stands before the declaration's name.
bool has_specifier(CXCursor declaration, std::string_view specifier) {
  const CXSourceLocation begin = clang_getRangeStart(clang_getCursorExtent(declaration));
  return has_token(clang_Cursor_getTranslationUnit(declaration),
                   clang_getRange(begin, clang_getCursorLocation(declaration)), specifier);
}

bool has_default_arguments(CXCursor definition) {
  const int count = clang_Cursor_getNumArguments(definition);
  for (int i = 0; i < count; ++i) {
    const CXCursor parameter = clang_Cursor_getArgument(definition, static_cast<unsigned>(i));
    if (has_token(clang_Cursor_getTranslationUnit(definition), clang_getCursorExtent(parameter),
                  "="))
      return true;
  }
  return false;
}

// Where the body of `definition` begins.
Location body_of(CXCursor definition) {
  Location body;
  visit_children(definition, [&](CXCursor child) {
    if (clang_getCursorKind(child) != CXCursor_CompoundStmt) return CXChildVisit_Continue;
    body = location(clang_getRangeStart(clang_getCursorExtent(child)));
    return CXChildVisit_Break;
  });
  return body;
}

// Whether what stands at `where` is written in the file, and not made by a macro.
bool is_spelled(CXSourceLocation where) {
  unsigned spelled = 0;
  unsigned expanded = 0;
  clang_getSpellingLocation(where, nullptr, nullptr, nullptr, &spelled);
  clang_getExpansionLocation(where, nullptr, nullptr, nullptr, &expanded);
  return spelled == expanded;
}

bool is_name_spelled(CXCursor declaration) {
  const CXSourceLocation where = clang_getCursorLocation(declaration);
  if (!is_spelled(where)) return false;
  CXTranslationUnit unit = clang_Cursor_getTranslationUnit(declaration);
  CXToken* token = clang_getToken(unit, where);
  if (token == nullptr) return false;
  const bool is_name = to_string(clang_getTokenSpelling(unit, *token)) == spelling(declaration);
  clang_disposeTokens(unit, token, 1);
  return is_name;
}

bool refuse_kind(CXCursor declaration, Diagnostics& diagnostics) {
  const Location where = location(declaration);
  const std::string name = in_quotes(qualified_name(declaration));
  switch (clang_getCursorKind(declaration)) {
    case CXCursor_FunctionTemplate:
      diagnostics.refuse(
          where, "the template " + name + " cannot be offloaded: a module has no templates to call",
          "tag a plain function that calls the instance you need", Rule::kind);
      return true;
    case CXCursor_CXXMethod:
      if (is_object_class(clang_getCursorSemanticParent(declaration))) return false;
      [[fallthrough]];
    case CXCursor_Constructor:
    case CXCursor_Destructor:
    case CXCursor_ConversionFunction:
      diagnostics.refuse(where,
                         (clang_CXXMethod_isVirtual(declaration) != 0 ? "the virtual function "
                                                                      : "the member function ") +
                             name + " cannot be offloaded: its object stays where it is",
                         "tag the class ALOFT_OFFLOAD_OBJECT, too, or a free function that takes "
                         "what it needs as parameters",
                         Rule::kind);
      return true;
    default: return false;
  }
}

// What keeps the method of a tagged class from being elastic. (What is wrong with its class is said
// there.)
bool refuse_method(CXCursor declaration, Tag tag, Diagnostics& diagnostics) {
  const Location where = location(declaration);
  const std::string name = in_quotes(qualified_name(declaration));
  bool refused = false;
  const auto refuse = [&](std::string message, std::string remedy) {
    diagnostics.refuse(where, std::move(message), std::move(remedy), Rule::declaration);
    refused = true;
  };
  if (tag == Tag::once) {
    refuse(name +
               " is tagged ALOFT_OFFLOAD_ONCE: when an object's place is lost, the calls since the "
               "last copy of its state are run again",
           "tag it ALOFT_OFFLOAD, and have what must not be repeated done by a function");
  }
  if (clang_CXXMethod_isStatic(declaration) != 0)
    refuse("the static member function " + name + " cannot be offloaded: it has no object",
           "tag a free function");
  if (clang_Type_getCXXRefQualifier(clang_getCursorType(declaration)) != CXRefQualifier_None)
    refuse(name +
               " has a ref-qualifier and cannot be offloaded: an elastic object is not moved "
               "from",
           "drop it");
  if (clang_getCXXAccessSpecifier(declaration) != CX_CXXPublic)
    refuse(name + " is not public and cannot be offloaded: nothing outside its class can call it",
           "make it public");
  return refused;
}

// What a declaration says of itself, apart from its types.
bool refuse_specifiers(CXCursor declaration, Diagnostics& diagnostics) {
  const Location where = location(declaration);
  const std::string name = in_quotes(qualified_name(declaration));
  bool refused = false;
  const auto refuse = [&](std::string message, std::string remedy) {
    diagnostics.refuse(where, std::move(message), std::move(remedy), Rule::declaration);
    refused = true;
  };
  if (has_specifier(declaration, "constexpr") || has_specifier(declaration, "consteval")) {
    refuse(name + " is " + (has_specifier(declaration, "constexpr") ? "constexpr" : "consteval") +
               " and cannot be offloaded: its calls may be computed by the compiler",
           "drop the specifier");
  } else if (clang_Cursor_isFunctionInlined(declaration) != 0 &&
             clang_getCursorKind(declaration) != CXCursor_CXXMethod) {
    // (The calls of a method that is inline reach the dispatching code at its begin, too.)
    refuse(
        name + " is inline and cannot be offloaded: its calls may have been replaced by its body",
        "drop 'inline' and define it in a source of the module");
  }
  const std::vector<Scope> around = scopes(declaration);
  const bool is_anonymous =
      std::ranges::any_of(around, [](const Scope& scope) { return scope.name.empty(); });
  if (is_anonymous) {
    refuse(name +
               " is in an anonymous namespace and cannot be offloaded: nothing outside its file "
               "can name it",
           "move it out of the anonymous namespace");
  } else if (clang_Cursor_getStorageClass(declaration) == CX_SC_Static &&
             clang_getCursorKind(declaration) != CXCursor_CXXMethod) {
    refuse(name + " is static and cannot be offloaded: nothing outside its file can name it",
           "drop 'static'");
  }
  if (clang_Cursor_isVariadic(declaration) != 0) {
    refuse(
        name + " takes any number of arguments and cannot be offloaded: their types are not known",
        "take a std::span<const T> or a std::vector<T>");
  }
  if (has_child(declaration, CXCursor_AsmLabelAttr)) {
    refuse(name + " has an asm label and cannot be offloaded: its symbol is not its name",
           "drop the label");
  }
  if (clang_Cursor_getNumArguments(declaration) >= 0 &&
      spelling(declaration).starts_with("operator")) {
    refuse(name + " is an operator and cannot be offloaded",
           "tag a named function, and call it from the operator");
  } else if (around.empty() && spelling(declaration) == "main") {
    refuse("'main' cannot be offloaded", "tag a function that it calls");
  } else if (!is_name_spelled(declaration)) {
    refuse(
        "the name of " + name + " comes out of a macro: aloft-cc cannot write another in its place",
        "write the name in the definition itself");
  }
  return refused;
}

std::optional<Type> model_result(CXCursor definition, Tag tag, Diagnostics& diagnostics) {
  const Location where = location(definition);
  const std::string name = in_quotes(qualified_name(definition));
  const CXType written = clang_getCursorResultType(definition);
  const CXType result = clang_getCanonicalType(written);
  if (written.kind == CXType_Auto ||
      to_string(clang_getTypeSpelling(written)) == "decltype(auto)") {
    diagnostics.refuse(where,
                       "the result type of " + name + " is deduced: its callers cannot see it",
                       "write the result type", Rule::result);
    return {};
  }
  if (result.kind == CXType_Void) {
    if (tag == Tag::once || clang_getCursorKind(definition) == CXCursor_CXXMethod)
      return Type{.signature = "nil", .spelling = "void", .records = {}, .headers = {}};
    diagnostics.refuse(where,
                       name + " has no result: running it elsewhere would have no effect here",
                       "return what it computes", Rule::result);
    return {};
  }
  if (result.kind == CXType_LValueReference || result.kind == CXType_RValueReference) {
    diagnostics.refuse(
        where,
        "the result of " + name + " is a reference: what it refers to stays where it was made",
        "return a value", Rule::result);
    return {};
  }
  if (clang_isConstQualifiedType(result) != 0) {
    diagnostics.refuse(where,
                       "the result of " + name + " is const, which only keeps it from being moved",
                       "drop 'const'", Rule::result);
    return {};
  }
  std::expected<Type, Refusal> type = model_type(result);
  if (!type) {
    Refusal& refusal = type.error();
    refusal.notes.push_back({where, std::move(refusal.remedy)});
    diagnostics.add({where, Severity::error, "the result of " + name + " " + refusal.message,
                     std::move(refusal.notes), Rule::result});
    return {};
  }
  if (type->is_view) {
    diagnostics.refuse(where,
                       "the result of " + name +
                           " would dangle: it only points at memory of the place that computed it",
                       "return std::string or std::vector<T>", Rule::result);
    return {};
  }
  return *std::move(type);
}

std::optional<Parameter> model_parameter(CXCursor parameter, std::size_t position,
                                         Diagnostics& diagnostics) {
  const Location where = location(parameter);
  const std::string name = spelling(parameter);
  const std::string what =
      name.empty() ? "parameter " + std::to_string(position + 1) : "parameter " + in_quotes(name);
  CXType type = clang_getCanonicalType(clang_getCursorType(parameter));
  Passing passing = Passing::by_value;
  if (type.kind == CXType_RValueReference) {
    diagnostics.refuse(
        where, what + " is an rvalue reference: there is nothing to take over from elsewhere",
        "take it by value", Rule::parameter);
    return {};
  }
  if (type.kind == CXType_LValueReference) {
    type = clang_getCanonicalType(clang_getPointeeType(type));
    passing = Passing::by_const_reference;
    if (clang_isConstQualifiedType(type) == 0) {
      diagnostics.refuse(
          where,
          what + " is a reference to non-const: what is written through it elsewhere would be lost",
          "take it by value or const reference, and return what changes", Rule::parameter);
      return {};
    }
  }
  std::expected<Type, Refusal> model = model_type(clang_getUnqualifiedType(type));
  if (!model) {
    Refusal& refusal = model.error();
    refusal.notes.push_back({where, std::move(refusal.remedy)});
    diagnostics.add({where, Severity::error, what + " " + refusal.message, std::move(refusal.notes),
                     Rule::parameter});
    return {};
  }
  return Parameter{name, *std::move(model), passing};
}

Method model_method(CXCursor definition) {
  const CXCursor parent = clang_getCursorSemanticParent(definition);
  Method method;
  method.class_spelling = "::" + qualified_name(parent);
  method.header = location(parent).file;
  method.is_const = clang_CXXMethod_isConst(definition) != 0;
  const int count = clang_Cursor_getNumArguments(definition);
  for (int i = 0; i < count; ++i) {
    const CXCursor parameter = clang_Cursor_getArgument(definition, static_cast<unsigned>(i));
    if (spelling(parameter).empty()) method.unnamed.push_back(location(parameter));
  }
  return method;
}

// Whether the places are there at which the dispatching code is written into a method.
bool is_method_writable(CXCursor definition, Diagnostics& diagnostics) {
  bool found = true;
  const auto require = [&](CXSourceLocation where) { found = found && is_spelled(where); };
  visit_children(definition, [&](CXCursor child) {
    if (clang_getCursorKind(child) == CXCursor_CompoundStmt)
      require(clang_getRangeStart(clang_getCursorExtent(child)));
    if (clang_getCursorKind(child) == CXCursor_ParmDecl && spelling(child).empty())
      require(clang_getCursorLocation(child));
    return CXChildVisit_Continue;
  });
  if (!found) {
    diagnostics.refuse(location(definition),
                       "the body or a parameter of " + in_quotes(qualified_name(definition)) +
                           " comes out of a macro: aloft-cc cannot write into it",
                       "write it in the definition itself", Rule::declaration);
  }
  return found;
}

bool is_noexcept(CXCursor definition) {
  switch (clang_getExceptionSpecificationType(clang_getCursorType(definition))) {
    case CXCursor_ExceptionSpecificationKind_BasicNoexcept:
    case CXCursor_ExceptionSpecificationKind_NoThrow:
    case CXCursor_ExceptionSpecificationKind_DynamicNone: return true;
    case CXCursor_ExceptionSpecificationKind_ComputedNoexcept:
      // libclang does not tell the value; what it prints of the type does.
      return to_string(
                 clang_getTypeSpelling(clang_getCanonicalType(clang_getCursorType(definition))))
          .ends_with("noexcept");
    default: return false;
  }
}

}  // namespace

Tag tag_of(CXCursor function) {
  Tag tag = Tag::none;
  visit_children(function, [&](CXCursor child) {
    if (clang_getCursorKind(child) != CXCursor_AnnotateAttr) return CXChildVisit_Continue;
    const std::string text = spelling(child);
    if (text == "aloft::offload_once") tag = Tag::once;
    if (text == "aloft::offload" && tag == Tag::none) tag = Tag::pure;
    return CXChildVisit_Continue;
  });
  return tag;
}

bool is_function(CXCursor cursor) {
  switch (clang_getCursorKind(cursor)) {
    case CXCursor_FunctionDecl:
    case CXCursor_FunctionTemplate:
    case CXCursor_CXXMethod:
    case CXCursor_Constructor:
    case CXCursor_Destructor:
    case CXCursor_ConversionFunction: return true;
    default: return false;
  }
}

bool refuse_declaration(CXCursor declaration, Tag tag, Diagnostics& diagnostics) {
  if (refuse_kind(declaration, diagnostics)) return true;
  const bool is_method = clang_getCursorKind(declaration) == CXCursor_CXXMethod;
  const bool refused = is_method && refuse_method(declaration, tag, diagnostics);
  return refuse_specifiers(declaration, diagnostics) || refused;
}

std::optional<Function> model_function(CXCursor definition, Tag tag, Body body,
                                       Diagnostics& diagnostics) {
  if (refuse_kind(definition, diagnostics)) return {};
  const bool has_body =
      has_child(definition, CXCursor_CompoundStmt) || has_child(definition, CXCursor_CXXTryStmt);
  if (body == Body::here && !has_body) {
    diagnostics.refuse(location(definition), in_quotes(qualified_name(definition)) + " has no body",
                       "define it, or drop the tag", Rule::declaration);
    return {};
  }
  const bool is_method = clang_getCursorKind(definition) == CXCursor_CXXMethod;
  bool refused = refuse_declaration(definition, tag, diagnostics);
  if (!in_main_file(definition)) {
    diagnostics.refuse(
        location(definition), in_quotes(qualified_name(definition)) + " is defined in a header",
        "declare it there, and define it in a source of the module", Rule::declaration);
    refused = true;
  }

  Function function;
  function.name = spelling(definition);
  function.qualified_name = qualified_name(definition);
  function.scopes = scopes(definition);
  function.lexical_scopes = scopes(definition, Parents::lexical);
  function.once = tag == Tag::once;
  if (is_method) function.method = model_method(definition);
  std::optional<Type> result = model_result(definition, tag, diagnostics);
  refused = refused || !result;
  const int count = clang_Cursor_getNumArguments(definition);
  for (int i = 0; i < count; ++i) {
    const CXCursor cursor = clang_Cursor_getArgument(definition, static_cast<unsigned>(i));
    std::optional<Parameter> parameter =
        model_parameter(cursor, static_cast<std::size_t>(i), diagnostics);
    if (parameter)
      function.parameters.push_back(*std::move(parameter));
    else
      refused = true;
  }
  if (is_method && !is_method_writable(definition, diagnostics)) refused = true;
  if (refused) return {};

  function.result = *std::move(result);
  function.is_noexcept = is_noexcept(definition);
  if (function.is_noexcept) {
    diagnostics.add(
        {location(definition),
         Severity::warning,
         in_quotes(function.qualified_name) +
             " is noexcept: a call that no place can complete ends the program instead of throwing "
             "aloft::CallFailed",
         {}});
  }
  function.definition = location(clang_getRangeStart(clang_getCursorExtent(definition)));
  function.name_token = location(definition);
  function.body = body_of(definition);
  const bool is_declared_before =
      clang_equalCursors(clang_getCanonicalCursor(definition), definition) == 0;
  const bool has_defaults = has_default_arguments(definition);
  function.needs_declaration = !is_declared_before || has_defaults;
  if (!is_method && has_defaults && function.lexical_scopes.size() < function.scopes.size()) {
    diagnostics.refuse(function.name_token,
                       in_quotes(function.qualified_name) +
                           " has a default argument in a definition outside of its namespace",
                       "write the default argument in its declaration", Rule::declaration);
    return {};
  }
  function.signature = canonical_signature(function);
  function.signature_hash = sha256(std::as_bytes(std::span(function.signature))).hex();
  function.export_name = export_name(function.name, function.signature_hash);
  return function;
}

}  // namespace aloft::compiler
