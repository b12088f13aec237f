// The little that aloft-cc needs of libclang's C interface, with ownership and strings of C++.
//
// Cursors and types (CXCursor, CXType) are values that point into their TranslationUnit and must
// not outlive it. Thread rule: one thread for an Index and all that comes of it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <clang-c/Index.h>

#include "compiler/diagnostics.h"
#include <aloft/result.h>

namespace aloft::compiler {

// Takes `text` over.
[[nodiscard]] std::string to_string(CXString text);

// The compiler's state behind translation units.
class Index {
 public:
  Index() : index_(clang_createIndex(0, 0)) {}
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;
  ~Index() { clang_disposeIndex(index_); }
  [[nodiscard]] CXIndex get() const { return index_; }

 private:
  CXIndex index_;
};

// What the compiler itself has against a file.
struct CompileError {
  Diagnostic diagnostic;
  bool is_in_system_header = false;
};

// One source file as the compiler understood it.
class TranslationUnit {
 public:
  // `arguments` are the compiler's, without its name and without the file. A file that does not
  // compile is a TranslationUnit too: its diagnostics() say why. Errors: internal (libclang itself
  // failed).
  [[nodiscard]] static Result<TranslationUnit> parse(const Index& index, const std::string& file,
                                                     const std::vector<std::string>& arguments);

  [[nodiscard]] CXCursor root() const { return clang_getTranslationUnitCursor(unit_.get()); }
  // The compiler's own errors, and the notes that belong to them. (Its warnings come when the
  // copies are compiled.)
  [[nodiscard]] std::vector<CompileError> errors() const;
  // The file itself and every file it includes, by any number of steps.
  [[nodiscard]] std::vector<std::string> files() const;

 private:
  struct Dispose {
    void operator()(CXTranslationUnit unit) const { clang_disposeTranslationUnit(unit); }
  };
  explicit TranslationUnit(CXTranslationUnit unit) : unit_(unit) {}
  std::unique_ptr<std::remove_pointer_t<CXTranslationUnit>, Dispose> unit_;
};

// Calls `visit` for each child of `cursor`, in order; it answers whether to go on into that child.
void visit_children(CXCursor cursor, const std::function<CXChildVisitResult(CXCursor)>& visit);
// Calls `visit` for each field of a record type.
void visit_fields(CXType record, const std::function<void(CXCursor)>& visit);

[[nodiscard]] bool is_null(CXCursor cursor);
[[nodiscard]] std::string spelling(CXCursor cursor);
// Where `cursor` stands in the file: of something that comes out of a macro, where the macro is
// used.
[[nodiscard]] Location location(CXCursor cursor);
[[nodiscard]] Location location(CXSourceLocation where);
// Whether `where` is in the file that the translation unit is about, and not in one that it
// includes.
[[nodiscard]] bool in_main_file(CXCursor cursor);
[[nodiscard]] bool in_system_header(CXCursor cursor);

// A namespace or class that something stands in.
struct Scope {
  std::string name;  // empty: anonymous
  enum class Kind : std::uint8_t { name_space, inline_namespace, record } kind = Kind::name_space;
  bool operator==(const Scope&) const = default;
};
enum class Parents : std::uint8_t { semantic, lexical };
// The scopes around `cursor`, outermost first; functions are left out.
[[nodiscard]] std::vector<Scope> scopes(CXCursor cursor, Parents parents = Parents::semantic);
// "std::vector": without template arguments, inline and anonymous namespaces.
[[nodiscard]] std::string qualified_name(CXCursor cursor);
// The name by which code at global scope can say the type: from "::", without inline namespaces of
// the library.
[[nodiscard]] std::string global_spelling(CXCursor declaration, CXType type);

}  // namespace aloft::compiler
