#include "compiler/module_reader.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <tuple>
#include <utility>

#include "compiler/body_check.h"
#include "compiler/clang_ast.h"
#include "compiler/eligibility.h"
#include "compiler/object_class.h"

namespace aloft::compiler {

namespace {

// A tagged function or method as one reading of the sources shows it.
struct Tagged {
  CXCursor declaration{};  // the first that is tagged
  Tag tag = Tag::none;     // once where any declaration says so
  CXCursor definition = clang_getNullCursor();
  std::size_t source = 0;  // of the definition
  std::string of;          // the symbol of the tagged class whose method it is
};

std::string symbol(CXCursor cursor) { return to_string(clang_getCursorUSR(cursor)); }

// All sources read for one target, and what is tagged in them.
class Reading {
 public:
  // Errors: internal. What the sources lack goes to `diagnostics`; is_sound() is false then.
  [[nodiscard]] static Result<Reading> read(const Index& index,
                                            const std::vector<std::string>& sources,
                                            const std::vector<std::string>& arguments) {
    Reading reading;
    for (const std::string& source : sources) {
      Result<TranslationUnit> unit = TranslationUnit::parse(index, source, arguments);
      if (!unit) return std::unexpected(unit.error());
      reading.units_.push_back(*std::move(unit));
    }
    for (std::size_t i = 0; i < reading.units_.size(); ++i) {
      collect_definitions(reading.units_[i].root(), reading.definitions_);
      reading.find_tags(reading.units_[i].root());
    }
    for (std::size_t i = 0; i < reading.units_.size(); ++i) reading.find_definitions(i);
    return reading;
  }

  [[nodiscard]] const std::vector<TranslationUnit>& units() const { return units_; }
  [[nodiscard]] const Definitions& definitions() const { return definitions_; }

  [[nodiscard]] const std::map<std::string, CXCursor>& classes() const { return classes_; }

  // In the order in which they are defined; those without a definition come last.
  [[nodiscard]] std::vector<Tagged> tagged() const {
    std::vector<Tagged> all;
    for (const auto& [symbol, tagged] : tagged_) all.push_back(tagged);
    std::ranges::sort(all, {}, [](const Tagged& tagged) {
      const bool is_defined = !is_null(tagged.definition);
      const Location where = location(is_defined ? tagged.definition : tagged.declaration);
      return std::tuple(!is_defined, tagged.source, where.file, where.offset);
    });
    return all;
  }

 private:
  // Visits the declarations outside of system headers, those within namespaces and classes too.
  template <class Visit>
  static void visit_declarations(CXCursor scope, const Visit& visit) {
    visit_children(scope, [&](CXCursor cursor) {
      if (in_system_header(cursor)) return CXChildVisit_Continue;
      visit(cursor);
      return is_function(cursor) ? CXChildVisit_Continue : CXChildVisit_Recurse;
    });
  }

  void find_tags(CXCursor root) {
    visit_declarations(root, [&](CXCursor cursor) {
      if (!is_function(cursor)) return find_class(cursor);
      const Tag tag = tag_of(cursor);
      if (tag == Tag::none) return;
      const auto [found, is_new] =
          tagged_.try_emplace(symbol(cursor), Tagged{.declaration = cursor, .tag = tag, .of = {}});
      if (is_new && is_object_class(clang_getCursorSemanticParent(cursor)))
        found->second.of = symbol(clang_getCursorSemanticParent(cursor));
      if (tag == Tag::once) found->second.tag = tag;
    });
  }

  void find_class(CXCursor cursor) {
    if (clang_isCursorDefinition(cursor) == 0 || !is_object_class(cursor)) return;
    classes_.try_emplace(symbol(cursor), cursor);
  }

  void find_definitions(std::size_t source) {
    visit_declarations(units_[source].root(), [&](CXCursor cursor) {
      if (!is_function(cursor) || clang_isCursorDefinition(cursor) == 0) return;
      const auto tagged = tagged_.find(symbol(cursor));
      if (tagged == tagged_.end() || !is_null(tagged->second.definition)) return;
      tagged->second.definition = cursor;
      tagged->second.source = source;
    });
  }

  std::vector<TranslationUnit> units_;
  Definitions definitions_;
  std::map<std::string, Tagged> tagged_;     // by symbol
  std::map<std::string, CXCursor> classes_;  // by symbol
};

// What the compiler says of a copy of an elastic object is about a field that its user has not
// written.
void explain_copy(Diagnostic& error) {
  const auto is_of_link = [](const Note& note) {
    return note.message.find("aloft_link_") != std::string::npos;
  };
  if (std::ranges::none_of(error.notes, is_of_link)) return;
  error.notes = {{error.where,
                  "an elastic object has an identity, of which its place is a part: refer to it, "
                  "or copy values that one of its methods gives"}};
}

void add_errors(const Reading& reading, Diagnostics& diagnostics) {
  for (const TranslationUnit& unit : reading.units()) {
    for (CompileError& error : unit.errors()) {
      explain_copy(error.diagnostic);
      diagnostics.add(std::move(error.diagnostic));
    }
  }
}

// The compiler's errors when it reads for the guest. Of the many that one header of another machine
// makes, the first is told; where a tagged function's own diagnostic is about the same line, that
// says it better.
void add_guest_errors(const Reading& reading, Diagnostics& diagnostics) {
  for (const TranslationUnit& unit : reading.units()) {
    bool is_first = true;
    bool is_header_told = false;
    for (auto& [error, is_in_system_header] : unit.errors()) {
      if (diagnostics.has_error_at(error.where) || (is_in_system_header && is_header_told))
        continue;
      is_header_told = is_header_told || is_in_system_header;
      if (is_first) {
        error.notes.push_back(
            {error.where,
             "the sources of a module are also compiled for the guest (wasm32-wasi, no exceptions, "
             "no threads)"});
      }
      is_first = false;
      diagnostics.add(std::move(error));
    }
  }
}

// Says of tagged functions that no source defines what is wrong with that. They may belong to
// another module whose header is included here; calls to them from tagged bodies are refused where
// they are made.
void judge_undefined(const std::vector<Tagged>& tagged, const std::string& first_source,
                     Diagnostics& diagnostics) {
  const bool none_defined =
      std::ranges::all_of(tagged, [](const Tagged& each) { return is_null(each.definition); });
  // A class belongs to the module that defines any of its methods.
  const auto is_partly_defined = [&](const Tagged& each) {
    return !each.of.empty() && std::ranges::any_of(tagged, [&](const Tagged& other) {
      return other.of == each.of && !is_null(other.definition);
    });
  };
  for (const Tagged& each : tagged) {
    if (!is_null(each.definition) || refuse_declaration(each.declaration, each.tag, diagnostics))
      continue;
    if (in_main_file(each.declaration) || none_defined || is_partly_defined(each)) {
      diagnostics.refuse(location(each.declaration),
                         "'" + qualified_name(each.declaration) +
                             "' is tagged, and no source of the module defines it",
                         "add the source that defines it to SOURCES");
    }
  }
  if (tagged.empty()) {
    diagnostics.refuse({first_source, 0, 0, 0}, "nothing in the module's sources is tagged",
                       "put ALOFT_OFFLOAD before the functions that may run elsewhere");
  }
}

// What of a class besides its methods runs in a guest.
void check_class_bodies(CXCursor definition, const Definitions& definitions,
                        Diagnostics& diagnostics) {
  for (const CXCursor body : bodies_of_class(definition)) {
    const auto defined = definitions.find(symbol(body));
    if (defined != definitions.end()) check_body(defined->second, definitions, diagnostics);
  }
}

// The classes whose methods the sources define, by symbol; those that cannot be objects have no
// index.
using ClassIndices = std::map<std::string, std::optional<std::uint32_t>>;

ClassIndices read_classes(const Reading& reading, const std::vector<Tagged>& tagged,
                          std::vector<Source>& result, Diagnostics& diagnostics) {
  ClassIndices indices;
  std::uint32_t count = 0;
  for (const Tagged& each : tagged) {
    const auto found = reading.classes().find(each.of);
    if (is_null(each.definition) || found == reading.classes().end()) continue;
    const auto [index, is_new] = indices.try_emplace(each.of);
    if (!is_new) continue;
    if (std::optional<Class> made = model_class(found->second, diagnostics)) {
      index->second = made->index = count++;
      result[each.source].classes.push_back(*std::move(made));
    }
    check_class_bodies(found->second, reading.definitions(), diagnostics);
  }
  // Those of which no method is tagged are nobody's; others may be another module's.
  for (const auto& [name, each] : reading.classes()) {
    if (std::ranges::any_of(tagged, [&](const Tagged& other) { return other.of == name; }))
      continue;
    diagnostics.refuse(location(each),
                       "'" + qualified_name(each) +
                           "' is tagged ALOFT_OFFLOAD_OBJECT, and none of its methods is tagged",
                       "put ALOFT_OFFLOAD before the methods that run where the object is");
  }
  return indices;
}

std::vector<Source> read_functions(const Reading& reading, const std::vector<std::string>& sources,
                                   Diagnostics& diagnostics) {
  std::vector<Source> result;
  for (const std::string& source : sources) result.push_back({source, {}, {}});
  const std::vector<Tagged> tagged = reading.tagged();
  judge_undefined(tagged, sources.front(), diagnostics);
  const ClassIndices classes = read_classes(reading, tagged, result, diagnostics);
  for (const Tagged& each : tagged) {
    if (is_null(each.definition)) continue;
    std::optional<Function> function =
        model_function(each.definition, each.tag, Body::here, diagnostics);
    const auto of = classes.find(each.of);
    if (function && of != classes.end() && of->second) function->method->object = *of->second;
    if (function) result[each.source].functions.push_back(*std::move(function));
    check_body(each.definition, reading.definitions(), diagnostics);
  }
  return result;
}

// The bytes of arguments and results must mean the same in both places.
void compare(const std::vector<Source>& host, const std::vector<Source>& guest,
             Diagnostics& diagnostics) {
  const auto differ = [&](const Function& function, const std::string& here,
                          const std::string& there) {
    diagnostics.add(
        {function.name_token,
         Severity::error,
         "the types of '" + function.qualified_name +
             "' are not the same on this machine and in the guest",
         {{function.name_token, "here: " + here},
          {function.name_token, "in the guest: " + there},
          {function.name_token, "use types of fixed width (std::int32_t, std::int64_t)"}}});
  };
  for (std::size_t i = 0; i < host.size(); ++i) {
    for (const Function& function : host[i].functions) {
      const auto twin =
          std::ranges::find(guest[i].functions, function.name_token.offset,
                            [](const Function& other) { return other.name_token.offset; });
      if (twin == guest[i].functions.end()) {
        if (!diagnostics.has_error_at(function.name_token))
          differ(function, function.signature, "no such function");
      } else if (twin->signature != function.signature) {
        differ(function, function.signature, twin->signature);
      }
    }
    for (const Class& of : host[i].classes) {
      const auto twin = std::ranges::find(guest[i].classes, of.index, &Class::index);
      if (twin != guest[i].classes.end() && twin->state_signature == of.state_signature) continue;
      if (diagnostics.has_error_at(of.name_token)) continue;
      diagnostics.add({of.name_token,
                       Severity::error,
                       "the state of '" + of.qualified_name +
                           "' is not the same on this machine and in the guest",
                       {{of.name_token, "here: " + of.state_signature},
                        {of.name_token, "in the guest: " + (twin == guest[i].classes.end()
                                                                ? "no such class"
                                                                : twin->state_signature)},
                        {of.name_token, "use types of fixed width (std::int32_t, std::int64_t)"}}});
    }
  }
}

void find_graphs(const Reading& reading, std::vector<std::string>& graphs,
                 Diagnostics& diagnostics) {
  for (const TranslationUnit& unit : reading.units()) {
    visit_children(unit.root(), [&](CXCursor cursor) {
      if (in_system_header(cursor)) return CXChildVisit_Continue;
      if (clang_getCursorKind(cursor) != CXCursor_VarDecl ||
          qualified_name(clang_getTypeDeclaration(
              clang_getCanonicalType(clang_getCursorType(cursor)))) != "aloft::nn::Graph") {
        return CXChildVisit_Recurse;
      }
      std::string name;
      visit_children(cursor, [&](CXCursor child) {
        if (clang_getCursorKind(child) != CXCursor_StringLiteral) return CXChildVisit_Recurse;
        name = spelling(child);  // with its quotes
        name = name.substr(1, name.size() < 2 ? 0 : name.size() - 2);
        return CXChildVisit_Break;
      });
      if (name.empty()) {
        diagnostics.refuse(
            location(cursor),
            "the name of the graph '" + spelling(cursor) + "' is not a string literal",
            "write the name as a literal, so that the module can say which models it needs");
      } else if (std::ranges::find(graphs, name) == graphs.end()) {
        graphs.push_back(std::move(name));
      }
      return CXChildVisit_Continue;
    });
  }
}

}  // namespace

std::vector<const Function*> Module::functions() const {
  std::vector<const Function*> all;
  for (const Source& source : sources) {
    for (const Function& function : source.functions) all.push_back(&function);
  }
  return all;
}

std::vector<const Class*> Module::classes() const {
  std::vector<const Class*> all;
  for (const Source& source : sources) {
    for (const Class& of : source.classes) all.push_back(&of);
  }
  std::ranges::sort(all, {}, &Class::index);
  return all;
}

Result<std::optional<Module>> read_module(const ReadRequest& request, Diagnostics& diagnostics) {
  std::vector<std::string> sources;
  for (const std::string& source : request.sources) {
    sources.push_back(std::filesystem::absolute(source).lexically_normal());
  }
  const Index index;
  const Result<Reading> host = Reading::read(index, sources, request.host_arguments);
  if (!host) return std::unexpected(host.error());
  add_errors(*host, diagnostics);
  if (diagnostics.has_errors()) return std::nullopt;

  Module module;
  module.name = request.name;
  module.sources = read_functions(*host, sources, diagnostics);
  find_graphs(*host, module.graphs, diagnostics);

  const auto add_files = [&module](const Reading& reading) {
    for (const TranslationUnit& unit : reading.units()) {
      for (std::string& file : unit.files()) module.files.push_back(std::move(file));
    }
  };
  add_files(*host);
  if (!request.guest_arguments.empty()) {
    const Result<Reading> guest = Reading::read(index, sources, request.guest_arguments);
    if (!guest) return std::unexpected(guest.error());
    Diagnostics guest_diagnostics;
    module.guest_sources = read_functions(*guest, sources, guest_diagnostics);
    add_guest_errors(*guest, guest_diagnostics);
    diagnostics.add_others(guest_diagnostics);
    compare(module.sources, module.guest_sources, diagnostics);
    add_files(*guest);
  }
  if (diagnostics.has_errors()) return std::nullopt;
  std::ranges::sort(module.files);
  module.files.erase(std::ranges::unique(module.files).begin(), module.files.end());
  return module;
}

}  // namespace aloft::compiler
