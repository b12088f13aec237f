#include "compiler/object_class.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "base/digest.h"
#include "compiler/clang_ast.h"
#include "compiler/signature.h"
#include "compiler/type_model.h"

namespace aloft::compiler {

namespace {

constexpr std::string_view kLink = "aloft_link_";  // what ALOFT_STATE declares
constexpr std::string_view kState = "aloft_state";

bool is_const_type(CXType type) {
  return clang_isConstQualifiedType(clang_getCanonicalType(type)) != 0;
}

std::vector<CXCursor> children(CXCursor cursor) {
  std::vector<CXCursor> all;
  visit_children(cursor, [&](CXCursor child) {
    all.push_back(child);
    return CXChildVisit_Continue;
  });
  return all;
}

class ClassCheck {
 public:
  ClassCheck(CXCursor definition, Diagnostics& diagnostics)
      : definition_(definition),
        diagnostics_(diagnostics),
        name_("'" + qualified_name(definition) + "'"),
        members_(children(definition)) {}

  std::optional<Class> run() {
    if (!check_kind()) return {};
    for (const CXCursor member : members_) check_member(member);
    check_construction();
    check_state();
    if (refused_) return {};
    Class made;
    made.qualified_name = qualified_name(definition_);
    made.name_token = location(definition_);
    made.state = std::move(state_);
    made.state_signature = state_signature(made);
    made.state_hash = sha256(std::as_bytes(std::span(made.state_signature))).hex();
    return made;
  }

 private:
  void refuse(const Location& where, std::string message, std::string remedy) {
    diagnostics_.refuse(where, std::move(message), std::move(remedy));
    refused_ = true;
  }

  // False: it is no class, and has no members to look at.
  bool check_kind() {
    const Location where = location(definition_);
    const CXCursorKind kind = clang_getCursorKind(definition_);
    if (kind != CXCursor_StructDecl && kind != CXCursor_ClassDecl) {
      refuse(where, "the template " + name_ + " cannot be an elastic object: it is no class yet",
             "tag a plain class that holds the instance you need");
      return false;
    }
    const std::vector<Scope> around = scopes(definition_);
    const auto is_anonymous = [](const Scope& scope) { return scope.name.empty(); };
    if (spelling(definition_).empty() || clang_Cursor_isAnonymous(definition_) != 0 ||
        std::ranges::any_of(around, is_anonymous)) {
      refuse(where, name_ + " cannot be an elastic object: nothing outside its file can name it",
             "give it a name, and declare it outside of anonymous namespaces");
    }
    const CXCursor parent = clang_getCursorSemanticParent(definition_);
    const CX_CXXAccessSpecifier access = clang_getCXXAccessSpecifier(definition_);
    const bool is_nested = clang_isDeclaration(clang_getCursorKind(parent)) != 0 &&
                           clang_getCursorKind(parent) != CXCursor_Namespace;
    if (is_nested && access != CX_CXXPublic) {
      refuse(where, name_ + " cannot be an elastic object: nothing outside can name it",
             "declare it at namespace scope");
    }
    return true;
  }

  void check_member(CXCursor member) {
    const Location where = location(member);
    const std::string name = "'" + spelling(member) + "'";
    if (clang_CXXMethod_isVirtual(member) != 0) {
      refuse(where, name + " is virtual: what the object is would be lost where its state arrives",
             "hold what differs as a value");
      return;
    }
    switch (clang_getCursorKind(member)) {
      case CXCursor_CXXBaseSpecifier:
        refuse(where, name_ + " has a base class: what that holds is not in ALOFT_STATE",
               "hold it as a field");
        break;
      case CXCursor_Destructor:
        if (clang_CXXMethod_isDefaulted(member) == 0) {
          refuse(where,
                 name_ +
                     " has a destructor of its own: a copy of the object ends at each place "
                     "that it leaves",
                 "drop the destructor; let fields that are values end by themselves");
        }
        break;
      case CXCursor_Constructor: check_copy(member, where); break;
      case CXCursor_CXXMethod:
        if (clang_CXXMethod_isCopyAssignmentOperator(member) != 0 ||
            clang_CXXMethod_isMoveAssignmentOperator(member) != 0)
          check_copied(member, where);
        break;
      case CXCursor_VarDecl:
        if (!is_const_type(clang_getCursorType(member))) {
          refuse(where,
                 "the static member " + name + " of " + name_ +
                     " is not const: it would not move with the object",
                 "make it const, or a field");
        }
        break;
      case CXCursor_UnionDecl:
      case CXCursor_StructDecl:
        if (clang_Cursor_isAnonymousRecordDecl(member) != 0) {
          refuse(where, name_ + " has fields without a common name: ALOFT_STATE cannot name them",
                 "give the struct, or the union's choice, a name");
        }
        break;
      default: break;
    }
  }

  void check_copy(CXCursor constructor, const Location& where) {
    if (clang_CXXConstructor_isCopyConstructor(constructor) != 0 ||
        clang_CXXConstructor_isMoveConstructor(constructor) != 0)
      check_copied(constructor, where);
  }
  void check_copied(CXCursor member, const Location& where) {
    if (clang_CXXMethod_isDeleted(member) != 0) return;
    refuse(
        where,
        name_ + " can be copied: an elastic object has an identity, of which its place is a part",
        "drop this; copy values that one of its methods gives");
  }

  void check_construction() {
    bool has_any = false;
    bool has_default = false;
    for (const CXCursor member : members_) {
      if (clang_getCursorKind(member) != CXCursor_Constructor) continue;
      has_any = true;
      has_default = has_default || (clang_CXXConstructor_isDefaultConstructor(member) != 0 &&
                                    clang_CXXMethod_isDeleted(member) == 0 &&
                                    clang_getCXXAccessSpecifier(member) == CX_CXXPublic);
    }
    if (has_any && !has_default) {
      refuse(location(definition_),
             name_ +
                 " has no default constructor that is public: no place could make the object "
                 "that takes its state",
             "add one; what another constructor sets is in the state");
    }
  }

  void check_state() {
    const auto method = std::ranges::find_if(members_, [](CXCursor member) {
      return clang_getCursorKind(member) == CXCursor_CXXMethod && spelling(member) == kState;
    });
    if (method == members_.end()) {
      refuse(location(definition_), name_ + " does not say what its state is",
             "put ALOFT_STATE(field, ...) behind its fields");
      return;
    }
    const Location where = location(*method);
    const CXCursor tie = tie_of(*method);
    if (is_null(tie)) {  // it did not compile, which is said elsewhere
      refused_ = true;
      return;
    }
    const std::vector<std::string> named = named_fields(tie, where);
    for (const std::string& name : named) {
      for (const CXCursor member : members_) {
        if (clang_getCursorKind(member) == CXCursor_FieldDecl && spelling(member) == name)
          add_field(member);
      }
    }
    for (const CXCursor member : members_) {
      if (clang_getCursorKind(member) == CXCursor_FieldDecl && spelling(member) != kLink)
        check_declared(member, named, where);
    }
  }

  // The call that ALOFT_STATE puts its fields into.
  static CXCursor tie_of(CXCursor method) {
    CXCursor tie = clang_getNullCursor();
    visit_children(method, [&](CXCursor child) {
      if (clang_getCursorKind(child) != CXCursor_CallExpr || spelling(child) != "tie")
        return CXChildVisit_Recurse;
      tie = child;
      return CXChildVisit_Break;
    });
    return tie;
  }

  // What ALOFT_STATE names, in its order.
  std::vector<std::string> named_fields(CXCursor tie, const Location& where) {
    std::vector<std::string> named;
    const int count = clang_Cursor_getNumArguments(tie);
    for (int i = 0; i < count; ++i) {
      const CXCursor field =
          clang_getCursorReferenced(clang_Cursor_getArgument(tie, static_cast<unsigned>(i)));
      const bool is_own =
          !is_null(field) && clang_getCursorKind(field) == CXCursor_FieldDecl &&
          clang_equalCursors(clang_getCursorSemanticParent(field), definition_) != 0;
      if (!is_own) {
        refuse(where, "what ALOFT_STATE of " + name_ + " names is not always a field of it",
               "name fields of the class, whole and one by one");
      } else if (std::ranges::find(named, spelling(field)) != named.end()) {
        refuse(where, "ALOFT_STATE of " + name_ + " names '" + spelling(field) + "' twice",
               "name it once");
      } else {
        named.push_back(spelling(field));
      }
    }
    return named;
  }

  void check_declared(CXCursor field, const std::vector<std::string>& named,
                      const Location& state) {
    const Location where = location(field);
    const std::string name = spelling(field);
    if (std::ranges::find(named, name) == named.end()) {
      refuse(where,
             "the field '" + name + "' of " + name_ +
                 " is not named in ALOFT_STATE: a move would lose it",
             "name it there, or make it a local variable of the methods");
    }
    if (where.file == state.file && where.offset > state.offset) {
      refuse(where,
             "the field '" + name + "' of " + name_ +
                 " stands behind ALOFT_STATE: it would end while calls may run on it",
             "put ALOFT_STATE behind the last field");
    }
  }

  void add_field(CXCursor field) {
    const Location where = location(field);
    const std::string what = "the field '" + spelling(field) + "' of " + name_;
    const CXType type = clang_getCursorType(field);
    if (is_const_type(type)) {
      refuse(where, what + " is const, so that it cannot be filled from bytes",
             "drop 'const', or make it a static constant");
      return;
    }
    std::expected<Type, Refusal> model = model_type(type);
    if (!model) {
      Refusal& refusal = model.error();
      refusal.notes.push_back({where, std::move(refusal.remedy)});
      diagnostics_.add(
          {where, Severity::error, what + " " + refusal.message, std::move(refusal.notes)});
      refused_ = true;
    } else if (model->is_view) {
      refuse(where, what + " only points at memory of the place that it was made at",
             "use std::string or std::vector<T>");
    } else if (model->is_unordered) {
      refuse(where,
             what +
                 " has no order: the same state would be other bytes at another place, and "
                 "another order of iteration",
             "use std::map");
    } else {
      state_.push_back({spelling(field), *std::move(model)});
    }
  }

  CXCursor definition_;
  Diagnostics& diagnostics_;
  std::string name_;
  std::vector<CXCursor> members_;
  std::vector<Field> state_;
  bool refused_ = false;
};

}  // namespace

bool is_object_class(CXCursor declaration) {
  switch (clang_getCursorKind(declaration)) {
    case CXCursor_StructDecl:
    case CXCursor_ClassDecl:
    case CXCursor_UnionDecl:
    case CXCursor_ClassTemplate:
    case CXCursor_ClassTemplatePartialSpecialization: break;
    default: return false;
  }
  return std::ranges::any_of(children(declaration), [](CXCursor child) {
    return clang_getCursorKind(child) == CXCursor_AnnotateAttr &&
           spelling(child) == "aloft::offload_object";
  });
}

std::optional<Class> model_class(CXCursor definition, Diagnostics& diagnostics) {
  return ClassCheck(definition, diagnostics).run();
}

std::vector<CXCursor> bodies_of_class(CXCursor definition) {
  std::vector<CXCursor> bodies;
  for (const CXCursor member : children(definition)) {
    if (clang_getCursorKind(member) == CXCursor_Constructor &&
        clang_CXXConstructor_isDefaultConstructor(member) != 0)
      bodies.push_back(member);
  }
  return bodies;
}

}  // namespace aloft::compiler
