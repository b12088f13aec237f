#include "compiler/type_model.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <string_view>
#include <utility>

#include "compiler/clang_ast.h"

namespace aloft::compiler {

namespace {

constexpr std::string_view kList =
    "integers, float, double, bool, enumerations, std::string, std::string_view, std::vector, "
    "std::span<const T>, "
    "std::array, std::optional, std::pair, std::tuple, std::map, std::unordered_map, aloft::Image, "
    "and structs of these "
    "can cross";

std::string in_quotes(CXType type) { return "'" + to_string(clang_getTypeSpelling(type)) + "'"; }

std::unexpected<Refusal> refuse(std::string message, std::string_view remedy = kList) {
  return std::unexpected(Refusal{std::move(message), std::string(remedy), {}, false});
}

// Says of the whole what was found of a part; the innermost part is the one that is named.
Refusal within(const std::string& part, Refusal refusal) {
  if (!refusal.is_within)
    refusal.message = "holds what cannot cross: " + part + " " + refusal.message;
  refusal.is_within = true;
  return refusal;
}

// Joins what `from` needs into `into`.
void add_parts(Type& into, const Type& from) {
  into.is_view = into.is_view || from.is_view;
  into.is_unordered = into.is_unordered || from.is_unordered;
  for (const Record& record : from.records) {
    if (std::ranges::find(into.records, record.spelling, &Record::spelling) == into.records.end()) {
      into.records.push_back(record);
    }
  }
  for (const std::string& header : from.headers) {
    if (std::ranges::find(into.headers, header) == into.headers.end())
      into.headers.push_back(header);
  }
}

Type plain(std::string signature, std::string spelling) {
  return {.signature = std::move(signature),
          .spelling = std::move(spelling),
          .records = {},
          .headers = {}};
}

class Modeller {
 public:
  std::expected<Type, Refusal> model(CXType written) {
    const CXType type = clang_getCanonicalType(written);
    if (clang_isVolatileQualifiedType(type) != 0) return refuse("is volatile");
    switch (type.kind) {
      case CXType_Bool: return plain("bool", "bool");
      case CXType_Char_S:
      case CXType_Char_U: return plain("char", "char");
      case CXType_SChar: return plain("i8", "signed char");
      case CXType_UChar: return plain("u8", "unsigned char");
      case CXType_Short: return plain("i16", "short");
      case CXType_UShort: return plain("u16", "unsigned short");
      case CXType_Int: return plain("i32", "int");
      case CXType_UInt: return plain("u32", "unsigned int");
      // 64 bits in the bytes wherever they are read: see aloft/codec.h.
      case CXType_Long: return plain("i64", "long");
      case CXType_ULong: return plain("u64", "unsigned long");
      case CXType_LongLong: return plain("i64", "long long");
      case CXType_ULongLong: return plain("u64", "unsigned long long");
      case CXType_Float: return plain("f32", "float");
      case CXType_Double: return plain("f64", "double");
      case CXType_LongDouble:
        return refuse("is a long double, which has another format in a guest", "use double");
      case CXType_WChar:
      case CXType_Char16:
      case CXType_Char32:
        return refuse("is a wide character (" + in_quotes(type) + ")",
                      "use std::string with UTF-8");
      case CXType_Pointer: return model_pointer(type);
      case CXType_MemberPointer:
      case CXType_FunctionProto:
        return refuse("points at code (" + in_quotes(type) + "), which cannot travel",
                      "pass data that says what to do");
      case CXType_LValueReference:
      case CXType_RValueReference:
        return refuse("is a reference (" + in_quotes(type) + ")", "hold a value");
      case CXType_ConstantArray:
        return refuse("is a raw array (" + in_quotes(type) + ")", "use std::array<T, N>");
      case CXType_IncompleteArray:
      case CXType_VariableArray:
        return refuse("is a raw array (" + in_quotes(type) + ")", "use std::vector<T>");
      case CXType_Enum: return model_enum(type);
      case CXType_Record: return model_record(type);
      default: return refuse("has a type that cannot cross (" + in_quotes(type) + ")");
    }
  }

 private:
  static std::expected<Type, Refusal> model_pointer(CXType type) {
    const CXType pointee = clang_getCanonicalType(clang_getPointeeType(type));
    if (pointee.kind == CXType_FunctionProto) {
      return refuse("points at code (" + in_quotes(type) + "), which cannot travel",
                    "pass data that says what to do");
    }
    const bool is_text = pointee.kind == CXType_Char_S || pointee.kind == CXType_Char_U;
    return refuse("is a raw pointer (" + in_quotes(type) + "): what it points at cannot be known",
                  is_text ? "use std::string, or for a parameter std::string_view"
                          : "use std::vector<T>, std::optional<T> or a value, or for a parameter "
                            "std::span<const T>");
  }

  std::expected<Type, Refusal> model_enum(CXType type) {
    const CXCursor declaration = clang_getTypeDeclaration(type);
    const std::string name = qualified_name(declaration);
    if (name == "std::byte") return plain("byte", "::std::byte");
    if (clang_Cursor_isAnonymous(declaration) != 0)
      return refuse("is an enumeration without a name");
    if (is_private(declaration)) return refuse_private(declaration);
    std::expected<Type, Refusal> number = model(clang_getEnumDeclIntegerType(declaration));
    if (!number) return number;
    Type result = plain("enum " + name + ":" + number->signature, "::" + name);
    add_header(result, declaration);
    return result;
  }

  std::expected<Type, Refusal> model_record(CXType type) {
    const CXCursor declaration = clang_getTypeDeclaration(type);
    const std::string name = qualified_name(declaration);
    if (name == "aloft::Image") return plain("image", "::aloft::Image");
    if (name == "std::basic_string" || name == "std::basic_string_view")
      return model_string(name, type);
    if (name == "std::vector" || name == "std::span" || name == "std::optional")
      return model_one(name, type);
    if (name == "std::array") return model_array(type, declaration);
    if (name == "std::pair" || name == "std::tuple") return model_tuple(name, type);
    if (name == "std::map" || name == "std::unordered_map") return model_map(name, type);
    if (name.starts_with("std::")) return refuse_library(name, type);
    return model_aggregate(name, type, declaration);
  }

  static CXType argument(CXType type, unsigned index) {
    return clang_Type_getTemplateArgumentAsType(type, index);
  }

  // Whether the template arguments from `first` on are those that one gets without saying them.
  static bool has_default_arguments(CXType type, unsigned first) {
    static constexpr std::array kDefaults = {"std::allocator", "std::less", "std::hash",
                                             "std::equal_to", "std::char_traits"};
    const int count = clang_Type_getNumTemplateArguments(type);
    for (unsigned i = first; i < static_cast<unsigned>(std::max(count, 0)); ++i) {
      const CXType part = clang_getCanonicalType(argument(type, i));
      const std::string name = qualified_name(clang_getTypeDeclaration(part));
      if (std::ranges::find(kDefaults, name) == kDefaults.end()) return false;
      // std::less<> is another order than std::less<K>.
      const CXType of = clang_Type_getNumTemplateArguments(part) > 0 ? argument(part, 0) : CXType{};
      if (clang_getCanonicalType(of).kind == CXType_Void) return false;
    }
    return true;
  }
  static std::unexpected<Refusal> refuse_arguments(const std::string& name, CXType type) {
    return refuse("is a " + name + " with an allocator, order, hash or traits of its own (" +
                      in_quotes(type) + ")",
                  "use " + name + " with its default template arguments");
  }

  static std::expected<Type, Refusal> model_string(const std::string& name, CXType type) {
    const CXType character = clang_getCanonicalType(argument(type, 0));
    if (character.kind != CXType_Char_S && character.kind != CXType_Char_U) {
      return refuse("is a string of wide characters (" + in_quotes(type) + ")",
                    "use std::string with UTF-8");
    }
    if (!has_default_arguments(type, 1)) return refuse_arguments("std::string", type);
    const bool is_view = name == "std::basic_string_view";
    Type result = plain("string", is_view ? "::std::string_view" : "::std::string");
    result.is_view = is_view;
    return result;
  }

  // The model of something that the type holds.
  std::expected<Type, Refusal> model_element(CXType element) {
    std::expected<Type, Refusal> inner = model(element);
    if (!inner) return std::unexpected(within("an element", std::move(inner.error())));
    return inner;
  }

  std::expected<Type, Refusal> model_one(const std::string& name, CXType type) {
    CXType element = argument(type, 0);
    if (name == "std::vector" && !has_default_arguments(type, 1))
      return refuse_arguments(name, type);
    if (name == "std::span") {
      if (clang_isConstQualifiedType(clang_getCanonicalType(element)) == 0) {
        return refuse("is a span that can be written through (" + in_quotes(type) + ")",
                      "use std::span<const T>, and return what changes");
      }
      const auto extent =
          clang_Cursor_getTemplateArgumentUnsignedValue(clang_getTypeDeclaration(type), 1);
      if (extent != std::numeric_limits<std::uint64_t>::max() &&
          extent != std::numeric_limits<std::uint32_t>::max()) {
        return refuse("is a span of fixed length (" + in_quotes(type) + ")",
                      "use std::span<const T>, or std::array<T, N>");
      }
      element = clang_getUnqualifiedType(clang_getCanonicalType(element));
    }
    std::expected<Type, Refusal> inner = model_element(element);
    if (!inner) return inner;
    if (name == "std::optional" && inner->is_optional) {
      return refuse("is an optional in an optional, which cannot be told apart from one",
                    "use one std::optional");
    }
    const bool is_span = name == "std::span";
    Type result = plain((name == "std::optional" ? "optional<" : "list<") + inner->signature + ">",
                        "::" + name + "<" + (is_span ? "const " : "") + inner->spelling + ">");
    result.is_view = is_span;
    result.is_optional = name == "std::optional";
    add_parts(result, *inner);
    return result;
  }

  std::expected<Type, Refusal> model_array(CXType type, CXCursor declaration) {
    std::expected<Type, Refusal> inner = model_element(argument(type, 0));
    if (!inner) return inner;
    const std::string size =
        std::to_string(clang_Cursor_getTemplateArgumentUnsignedValue(declaration, 1));
    Type result = plain("array<" + inner->signature + "," + size + ">",
                        "::std::array<" + inner->spelling + ", " + size + ">");
    add_parts(result, *inner);
    return result;
  }

  std::expected<Type, Refusal> model_tuple(const std::string& name, CXType type) {
    Type result = plain("tuple<", "::" + name + "<");
    const int count = clang_Type_getNumTemplateArguments(type);
    for (int i = 0; i < count; ++i) {
      std::expected<Type, Refusal> inner = model_element(argument(type, static_cast<unsigned>(i)));
      if (!inner) return inner;
      result.signature += (i == 0 ? "" : ",") + inner->signature;
      result.spelling += (i == 0 ? "" : ", ") + inner->spelling;
      add_parts(result, *inner);
    }
    result.signature += ">";
    result.spelling += ">";
    return result;
  }

  std::expected<Type, Refusal> model_map(const std::string& name, CXType type) {
    if (!has_default_arguments(type, 2)) return refuse_arguments(name, type);
    std::expected<Type, Refusal> key = model_element(argument(type, 0));
    if (!key) return key;
    std::expected<Type, Refusal> value = model_element(argument(type, 1));
    if (!value) return value;
    Type result = plain("map<" + key->signature + "," + value->signature + ">",
                        "::" + name + "<" + key->spelling + ", " + value->spelling + ">");
    result.is_unordered = name == "std::unordered_map";
    add_parts(result, *key);
    add_parts(result, *value);
    return result;
  }

  static std::unexpected<Refusal> refuse_library(const std::string& name, CXType type) {
    static const std::map<std::string, std::string, std::less<>> kRemedies = {
        {"std::unique_ptr", "hold the value, or std::optional<T>"},
        {"std::shared_ptr", "hold the value"},
        {"std::weak_ptr", "hold the value"},
        {"std::function", "code cannot travel: pass data that says what to do"},
        {"std::move_only_function", "code cannot travel: pass data that says what to do"},
        {"std::variant", "use a struct of std::optional members"},
        {"std::any", "use the type that it holds"},
        {"std::expected", "use std::optional, or a struct with the error"},
        {"std::list", "use std::vector"},
        {"std::deque", "use std::vector"},
        {"std::set", "use std::vector"},
        {"std::unordered_set", "use std::vector"},
        {"std::multimap", "use std::vector<std::pair<K, V>>"},
        {"std::chrono::duration", "pass its count() as an integer"},
        {"std::chrono::time_point", "pass its time_since_epoch().count() as an integer"},
        {"std::filesystem::path", "use std::string"},
        {"std::reference_wrapper", "hold the value"},
        {"std::initializer_list", "use std::vector"},
    };
    const auto remedy = kRemedies.find(name);
    return refuse("has a type that cannot cross (" + in_quotes(type) + ")",
                  remedy == kRemedies.end() ? kList : remedy->second);
  }

  std::expected<Type, Refusal> model_aggregate(const std::string& name, CXType type,
                                               CXCursor declaration) {
    const Location where = location(declaration);
    const auto refuse_here = [&](std::string message,
                                 std::string_view remedy) -> std::unexpected<Refusal> {
      auto refusal = refuse(std::move(message), remedy);
      refusal.error().notes.push_back({where, "'" + name + "' is declared here"});
      return refusal;
    };
    if (clang_getCursorKind(declaration) == CXCursor_UnionDecl) {
      return refuse_here("is a union ('" + name + "')", "use a struct of std::optional members");
    }
    if (clang_Cursor_isAnonymous(declaration) != 0 || spelling(declaration).empty()) {
      return refuse_here("is a struct without a name", "give it a name at namespace scope");
    }
    if (clang_Type_getSizeOf(type) < 0) {
      return refuse_here("is an incomplete type ('" + name + "')", "include its definition");
    }
    if (is_private(declaration)) return refuse_private(declaration);
    if (std::ranges::find(open_, name) != open_.end()) {
      return refuse_here("is recursive: '" + name + "' contains itself",
                         "give it a bounded shape, e.g. a std::vector of nodes with indices");
    }
    if (const std::string what = not_an_aggregate(declaration); !what.empty()) {
      return refuse_here("is a class that is no plain struct ('" + name + "' has " + what + ")",
                         "use a struct with public members only, and make it from your class");
    }

    Type result = plain("struct " + name + "{", global_spelling(declaration, type));
    Record record{result.spelling, {}};
    std::expected<void, Refusal> outcome;
    open_.push_back(name);
    visit_fields(type, [&](CXCursor field) {
      if (!outcome) return;
      outcome = add_member(field, name, result, record);
    });
    open_.pop_back();
    if (!outcome) return std::unexpected(std::move(outcome.error()));
    result.signature += "}";
    result.records.push_back(std::move(record));
    add_header(result, declaration);
    return result;
  }

  std::expected<void, Refusal> add_member(CXCursor field, const std::string& owner, Type& result,
                                          Record& record) {
    const std::string member = spelling(field);
    const CXType written = clang_getCursorType(field);
    std::expected<Type, Refusal> inner;
    if (clang_Cursor_isBitField(field) != 0) {
      inner = refuse("is a bit-field", "use an integer, or std::vector<bool>");
    } else if (member.empty()) {
      inner = refuse("is a member without a name", "give it a name");
    } else if (clang_isConstQualifiedType(clang_getCanonicalType(written)) != 0) {
      inner = refuse("is const, so that it cannot be filled from bytes",
                     "drop 'const' from the member");
    } else {
      inner = model(written);
    }
    if (!inner) {
      Refusal refusal = std::move(inner.error());
      const std::string whose = "member '" + member + "' of '" + owner + "'";
      refusal.notes.insert(refusal.notes.begin(),
                           {location(field), (refusal.is_within ? "through " : "") + whose});
      return std::unexpected(within(whose, std::move(refusal)));
    }
    result.signature += (record.members.empty() ? "" : ",") + member + ":" + inner->signature;
    record.members.push_back(member);
    add_parts(result, *inner);
    return {};
  }

  // Whether the generated code, which stands outside of all classes, cannot name the type.
  static bool is_private(CXCursor declaration) {
    for (CXCursor at = declaration; clang_isDeclaration(clang_getCursorKind(at)) != 0;
         at = clang_getCursorSemanticParent(at)) {
      const CX_CXXAccessSpecifier access = clang_getCXXAccessSpecifier(at);
      if (access == CX_CXXPrivate || access == CX_CXXProtected) return true;
    }
    return false;
  }
  static std::unexpected<Refusal> refuse_private(CXCursor declaration) {
    const std::string name = "'" + qualified_name(declaration) + "'";
    auto refusal = refuse("is a type that its class keeps to itself (" + name + ")",
                          "make it public, or declare it outside of the class");
    refusal.error().notes.push_back({location(declaration), name + " is declared here"});
    return refusal;
  }

  // What keeps a class from being an aggregate, or nothing.
  static std::string not_an_aggregate(CXCursor declaration) {
    std::string what;
    const CXCursor pattern = clang_getSpecializedCursorTemplate(declaration);
    visit_children(is_null(pattern) ? declaration : pattern, [&](CXCursor child) {
      const CXCursorKind kind = clang_getCursorKind(child);
      if (kind == CXCursor_CXXBaseSpecifier) {
        what = "a base class";
      } else if (kind == CXCursor_Constructor) {
        what = "a constructor";
      } else if (clang_CXXMethod_isVirtual(child) != 0) {
        what = "a virtual function";
      } else if (kind == CXCursor_FieldDecl && clang_getCXXAccessSpecifier(child) != CX_CXXPublic) {
        what = "the private member '" + spelling(child) + "'";
      } else if (kind == CXCursor_UnionDecl && clang_Cursor_isAnonymousRecordDecl(child) != 0) {
        what = "an anonymous union";
      }
      return what.empty() ? CXChildVisit_Continue : CXChildVisit_Break;
    });
    return what;
  }

  static void add_header(Type& type, CXCursor declaration) {
    const std::string file = location(declaration).file;
    if (!file.empty()) type.headers.push_back(file);
  }

  std::vector<std::string> open_;  // the aggregates that are being modelled, outermost first
};

}  // namespace

std::expected<Type, Refusal> model_type(CXType type) { return Modeller().model(type); }

}  // namespace aloft::compiler
