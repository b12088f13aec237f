// A module as aloft-cc has read it from its sources: what the emitters need, and nothing of the
// compiler's own tree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compiler/clang_ast.h"
#include "compiler/diagnostics.h"
#include "compiler/type_model.h"

namespace aloft::compiler {

// How a parameter is declared.
enum class Passing : std::uint8_t { by_value, by_const_reference };

struct Parameter {
  std::string name;  // may be empty
  Type type;
  Passing passing = Passing::by_value;
};

// What a method has that a function has not.
struct Method {
  std::uint32_t object = 0;    // index of its class in the module
  std::string class_spelling;  // as code at global scope says it, "::demo::Tracker"
  std::string header;          // that declares the class
  bool is_const = false;
  std::vector<Location> unnamed;  // where the names of its parameters would stand, in order
};

// A tagged function or method and where its definition stands.
struct Function {
  std::string name;
  std::string qualified_name;  // "demo::detect_object"
  std::vector<Scope> scopes;   // around it, outermost first
  std::vector<Scope>
      lexical_scopes;  // around its definition: fewer than `scopes` where that is qualified
  Type result;         // `void` has the signature "nil"
  std::vector<Parameter> parameters;
  std::optional<Method> method;
  bool once = false;  // has effects
  bool is_noexcept = false;
  // Whether code after the definition needs a declaration of the original name with the
  // definition's own words: no other declaration precedes it, or it has default arguments.
  bool needs_declaration = false;
  Location definition;  // of its first token, attributes not counted
  Location name_token;
  Location body;  // of its opening brace

  std::string signature;       // canonical, see signature.h
  std::string signature_hash;  // 64 hex digits
  std::string export_name;     // "aloft_fn_detect_object_1a2b3c4d"
};

// A field of an elastic object's state.
struct Field {
  std::string name;
  Type type;
};

// A tagged class.
struct Class {
  std::string qualified_name;  // "demo::Tracker"
  std::uint32_t index = 0;     // in the module
  Location name_token;
  std::vector<Field> state;  // in the order of ALOFT_STATE

  std::string state_signature;  // "struct demo::Tracker{tracks_:list<...>,next_:u64}"
  std::string state_hash;       // 64 hex digits
};

// One source file of the module.
struct Source {
  std::string path;                 // absolute
  std::vector<Function> functions;  // tagged ones that it defines, in order
  std::vector<Class> classes;       // whose first method it defines
};

// What the functions of a module in another language do in the device's process.
enum class Home : std::uint8_t {
  none,        // they have no version there
  translated,  // they call the guest, which was translated to C (home_source.h)
};

struct Module {
  std::string name;
  Home home = Home::none;
  std::vector<Source> sources;
  // The same files as the guest's compiler reads them: a type may have another name there
  // (std::int64_t).
  std::vector<Source> guest_sources;
  std::vector<std::string> graphs;  // names of the aloft::nn::Graph objects, in order of appearance
  std::vector<std::string> files;   // everything that was read, for the build's dependency tracking

  // The functions of all sources, in the order of their index in the module.
  [[nodiscard]] std::vector<const Function*> functions() const;
  // The classes, in the order of their index.
  [[nodiscard]] std::vector<const Class*> classes() const;
};

}  // namespace aloft::compiler
