#include "compiler/body_check.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/clang_ast.h"
#include "compiler/eligibility.h"

namespace aloft::compiler {

namespace {

// Why something of a library cannot be used, and what to do instead.
struct Ban {
  std::string_view reason;
  std::string_view remedy;
  Rule rule = Rule::other;
};

constexpr Ban kThreads = {"a guest has one thread",
                          "leave threads and locks to the caller; calls already run side by side",
                          Rule::threads};
constexpr Ban kFiles = {"a guest has no files",
                        "read the file before the call and pass what is in it", Rule::files};
constexpr Ban kJumps = {"setjmp and longjmp do not exist in a guest", "return early", Rule::jumps};
constexpr Ban kProcesses = {"a guest has no processes and no signals",
                            "do this outside of the offloaded function", Rule::processes};
constexpr Ban kNetwork = {"a guest has no network", "do this outside of the offloaded function",
                          Rule::network};
constexpr Ban kHiddenState = {
    "it keeps state between calls, which would differ from place to place",
    "pass the state as a parameter", Rule::hidden_state};
constexpr Ban kEntropy = {"a call that is run again elsewhere would have another result",
                          "pass a seed as a parameter", Rule::entropy};

struct Named {
  std::string_view name;  // without "std::"
  Ban ban;
};

constexpr std::array kBannedFunctions = std::to_array<Named>({
    {"setjmp", kJumps},
    {"_setjmp", kJumps},
    {"__sigsetjmp", kJumps},
    {"sigsetjmp", kJumps},
    {"longjmp", kJumps},
    {"siglongjmp", kJumps},
    {"fopen", kFiles},
    {"fdopen", kFiles},
    {"freopen", kFiles},
    {"tmpfile", kFiles},
    {"open", kFiles},
    {"openat", kFiles},
    {"creat", kFiles},
    {"remove", kFiles},
    {"rename", kFiles},
    {"unlink", kFiles},
    {"mmap", kFiles},
    {"system", kProcesses},
    {"popen", kProcesses},
    {"fork", kProcesses},
    {"execv", kProcesses},
    {"execve", kProcesses},
    {"execvp", kProcesses},
    {"signal", kProcesses},
    {"sigaction", kProcesses},
    {"raise", kProcesses},
    {"kill", kProcesses},
    {"socket", kNetwork},
    {"connect", kNetwork},
    {"getaddrinfo", kNetwork},
    {"pthread_create", kThreads},
    {"pthread_mutex_lock", kThreads},
    {"async", kThreads},
    {"call_once", kThreads},
    {"rand", kHiddenState},
    {"srand", kHiddenState},
    {"random", kHiddenState},
    {"srandom", kHiddenState},
    {"drand48", kHiddenState},
    {"lrand48", kHiddenState},
    {"strtok", kHiddenState},
    {"setlocale", kHiddenState},
    {"setenv", kHiddenState},
    {"putenv", kHiddenState},
});

constexpr std::array kBannedTypes = std::to_array<Named>({
    {"thread", kThreads},
    {"jthread", kThreads},
    {"mutex", kThreads},
    {"timed_mutex", kThreads},
    {"recursive_mutex", kThreads},
    {"recursive_timed_mutex", kThreads},
    {"shared_mutex", kThreads},
    {"shared_timed_mutex", kThreads},
    {"lock_guard", kThreads},
    {"unique_lock", kThreads},
    {"shared_lock", kThreads},
    {"scoped_lock", kThreads},
    {"condition_variable", kThreads},
    {"condition_variable_any", kThreads},
    {"once_flag", kThreads},
    {"future", kThreads},
    {"shared_future", kThreads},
    {"promise", kThreads},
    {"packaged_task", kThreads},
    {"counting_semaphore", kThreads},
    {"latch", kThreads},
    {"barrier", kThreads},
    {"basic_ifstream", kFiles},
    {"basic_ofstream", kFiles},
    {"basic_fstream", kFiles},
    {"basic_filebuf", kFiles},
    {"random_device", kEntropy},
});

// What a library has of its own that is not const, and is harmless: a guest's output reaches the
// caller's log.
constexpr std::array<std::string_view, 7> kHarmless = {"cout",   "cerr",  "clog",   "stdout",
                                                       "stderr", "errno", "nothrow"};

std::string_view without_std(std::string_view name) {
  if (name.starts_with("std::")) name.remove_prefix(5);
  return name;
}

template <std::size_t N>
std::optional<Ban> find(const std::array<Named, N>& list, std::string_view qualified) {
  if (qualified.starts_with("std::filesystem::")) return kFiles;
  const auto found = std::ranges::find(list, without_std(qualified), &Named::name);
  return found == list.end() ? std::nullopt : std::optional<Ban>(found->ban);
}

// Whether an object of this type never changes: const, and so what it refers to. (The canonical
// type of an array of constants is a constant array, whose elements are not said to be constants.)
bool is_const(CXType type) {
  type = clang_getCanonicalType(type);
  while (clang_isConstQualifiedType(type) == 0) {
    if (type.kind == CXType_ConstantArray || type.kind == CXType_IncompleteArray)
      type = clang_getCanonicalType(clang_getArrayElementType(type));
    else if (type.kind == CXType_LValueReference || type.kind == CXType_RValueReference)
      type = clang_getCanonicalType(clang_getPointeeType(type));
    else
      return false;
  }
  return true;
}

bool is_inside_function(CXCursor variable) {
  return is_function(clang_getCursorSemanticParent(variable));
}

class Examination {
 public:
  BodyFacts run(CXCursor definition) {
    visit_children(definition, [&](CXCursor child) {
      check(child);
      return CXChildVisit_Recurse;
    });
    return std::move(facts_);
  }

 private:
  void check(CXCursor cursor) {
    switch (clang_getCursorKind(cursor)) {
      case CXCursor_CXXThrowExpr:
        refuse(cursor, "'throw' in an offloaded function: a guest has no exceptions",
               "return the failure, or end the call with aloft::abort_call(message)",
               Rule::exceptions);
        break;
      case CXCursor_CXXTryStmt:
        refuse(cursor, "'try' in an offloaded function: a guest has no exceptions",
               "use functions that return their failure (std::optional, std::expected, "
               "std::from_chars)",
               Rule::exceptions);
        break;
      case CXCursor_GCCAsmStmt:
      case CXCursor_MSAsmStmt:
        refuse(cursor, "assembly in an offloaded function: a guest has another instruction set",
               "write it in C++; the guest is compiled with SIMD", Rule::assembly);
        break;
      case CXCursor_VarDecl: check_local(cursor); break;
      case CXCursor_TypeRef: check_type(cursor, clang_getCursorReferenced(cursor)); break;
      case CXCursor_TemplateRef: check_type(cursor, clang_getCursorReferenced(cursor)); break;
      case CXCursor_DeclRefExpr:
      case CXCursor_MemberRefExpr:
      case CXCursor_CallExpr: check_reference(cursor, clang_getCursorReferenced(cursor)); break;
      default: break;
    }
  }

  void check_local(CXCursor variable) {
    const std::string name = "'" + spelling(variable) + "'";
    if (clang_getCursorTLSKind(variable) != CXTLS_None) {
      refuse(variable,
             "the thread_local variable " + name +
                 " in an offloaded function: " + std::string(kHiddenState.reason),
             std::string(kHiddenState.remedy), Rule::hidden_state);
    } else if (clang_Cursor_getStorageClass(variable) == CX_SC_Static &&
               !is_const(clang_getCursorType(variable))) {
      refuse(variable,
             "the static variable " + name +
                 " in an offloaded function: " + std::string(kHiddenState.reason),
             "make it const, or pass the state as a parameter", Rule::hidden_state);
    }
    check_type(variable,
               clang_getTypeDeclaration(clang_getCanonicalType(clang_getCursorType(variable))));
  }

  void check_type(CXCursor use, CXCursor declaration) {
    if (is_null(declaration) || !in_system_header(declaration)) return;
    const CXType type = clang_getCanonicalType(clang_getCursorType(declaration));
    const CXCursor canonical =
        type.kind == CXType_Record ? clang_getTypeDeclaration(type) : declaration;
    const std::string name = qualified_name(canonical);
    if (const std::optional<Ban> ban = find(kBannedTypes, name)) refuse_use(use, name, *ban);
  }

  void check_reference(CXCursor use, CXCursor target) {
    if (is_null(target)) return;
    if (clang_getCursorKind(target) == CXCursor_VarDecl) return check_variable(use, target);
    if (!is_function(target)) return;
    const std::string name = qualified_name(target);
    if (in_system_header(target)) {
      if (const std::optional<Ban> ban = find(kBannedFunctions, name)) {
        refuse_use(use, name, *ban);
      } else if (clang_getCursorKind(target) == CXCursor_FunctionDecl) {
        add_callee(use, target, name);
      }
      return;
    }
    const bool is_of_compiler = name.starts_with("__builtin_");
    if (name.starts_with("aloft::") || is_of_compiler) return;
    add_callee(use, target, name);
  }

  void add_callee(CXCursor use, CXCursor target, const std::string& name) {
    const bool needs_definition = clang_getCursorKind(target) == CXCursor_FunctionDecl &&
                                  clang_Cursor_isFunctionInlined(target) == 0;
    facts_.callees.push_back({.symbol = symbol_of(target),
                              .name = name,
                              .use = location(use),
                              .declared = location(target),
                              .is_of_system = in_system_header(target),
                              .needs_definition = needs_definition});
  }

  void check_variable(CXCursor use, CXCursor variable) {
    if (is_inside_function(variable)) return;  // judged where it is declared
    const std::string name = qualified_name(variable);
    if (in_system_header(variable) &&
        std::ranges::find(kHarmless, without_std(name)) != kHarmless.end())
      return;
    if (clang_getCursorTLSKind(variable) != CXTLS_None) {
      refuse_variable(use, variable, "the thread_local variable '" + name + "'");
    } else if (!is_const(clang_getCursorType(variable))) {
      refuse_variable(use, variable, "the mutable variable '" + name + "'");
    }
  }

  void refuse_variable(CXCursor use, CXCursor variable, const std::string& what) {
    std::vector<Note> notes;
    if (!in_system_header(variable)) notes.push_back({location(variable), "it is declared here"});
    add(use, what + " is used in an offloaded function: " + std::string(kHiddenState.reason),
        std::move(notes), "make it const, or pass its value as a parameter", Rule::hidden_state);
  }

  void refuse_use(CXCursor use, const std::string& name, const Ban& ban) {
    refuse(use,
           "'" + name + "' cannot be used in an offloaded function: " + std::string(ban.reason),
           std::string(ban.remedy), ban.rule);
  }

  void refuse(CXCursor where, std::string message, std::string remedy, Rule rule) {
    add(where, std::move(message), {}, std::move(remedy), rule);
  }

  void add(CXCursor where, std::string message, std::vector<Note> notes, std::string remedy,
           Rule rule) {
    Diagnostic diagnostic{location(where), Severity::error, std::move(message), {}, rule};
    diagnostic.notes.push_back({diagnostic.where, std::move(remedy)});
    for (Note& note : notes) diagnostic.notes.push_back(std::move(note));
    facts_.findings.push_back(std::move(diagnostic));
  }

  BodyFacts facts_;
};

// Goes from a tagged function through all that it calls.
class BodyCheck {
 public:
  BodyCheck(CXCursor tagged, const Definitions& definitions, Diagnostics& diagnostics)
      : tagged_name_(qualified_name(tagged)),
        tagged_(location(tagged)),
        definitions_(definitions),
        diagnostics_(diagnostics) {}

  void run(CXCursor definition) {
    pending_.push_back(definition);
    visited_.insert(symbol_of(definition));
    while (!pending_.empty()) {
      const CXCursor current = pending_.back();
      pending_.pop_back();
      BodyFacts facts = examine_body(current);
      for (Diagnostic& finding : facts.findings) add(current, std::move(finding));
      for (const Callee& callee : facts.callees) follow(current, callee);
    }
  }

 private:
  void follow(CXCursor from, const Callee& callee) {
    if (callee.is_of_system) return;
    const auto definition = definitions_.find(callee.symbol);
    if (definition != definitions_.end()) {
      if (visited_.insert(callee.symbol).second) pending_.push_back(definition->second);
    } else if (callee.needs_definition) {
      add(from, {callee.use,
                 Severity::error,
                 "'" + callee.name +
                     "' is called by an offloaded function, and no source of the module defines it",
                 {{callee.use,
                   "add the source that defines it to SOURCES, or pass its result as a parameter"}},
                 Rule::undefined});
    }
  }

  // Says by which way a finding that is not in the tagged function itself is reached.
  void add(CXCursor from, Diagnostic finding) {
    const Location here = location(from);
    if (const std::string name = qualified_name(from);
        here.offset != tagged_.offset || here.file != tagged_.file) {
      finding.notes.push_back(
          {tagged_, "'" + tagged_name_ + "', which is offloaded, reaches '" + name + "'"});
    }
    diagnostics_.add(std::move(finding));
  }

  std::string tagged_name_;
  Location tagged_;
  const Definitions& definitions_;
  Diagnostics& diagnostics_;
  std::set<std::string> visited_;
  std::vector<CXCursor> pending_;
};

}  // namespace

std::string symbol_of(CXCursor function) {
  const CXCursor pattern = clang_getSpecializedCursorTemplate(function);
  return to_string(clang_getCursorUSR(is_null(pattern) ? function : pattern));
}

BodyFacts examine_body(CXCursor definition) { return Examination().run(definition); }

void collect_definitions(CXCursor root, Definitions& definitions) {
  visit_children(root, [&](CXCursor cursor) {
    const CXCursorKind kind = clang_getCursorKind(cursor);
    if (in_system_header(cursor)) return CXChildVisit_Continue;
    if (is_function(cursor)) {
      if (clang_isCursorDefinition(cursor) != 0) definitions.try_emplace(symbol_of(cursor), cursor);
      return CXChildVisit_Continue;
    }
    const bool is_scope = kind == CXCursor_Namespace || kind == CXCursor_LinkageSpec ||
                          kind == CXCursor_StructDecl || kind == CXCursor_ClassDecl ||
                          kind == CXCursor_ClassTemplate || kind == CXCursor_UnexposedDecl;
    return is_scope ? CXChildVisit_Recurse : CXChildVisit_Continue;
  });
}

void check_body(CXCursor definition, const Definitions& definitions, Diagnostics& diagnostics) {
  BodyCheck(definition, definitions, diagnostics).run(definition);
}

}  // namespace aloft::compiler
