#include "compiler/wit.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace aloft::compiler {

namespace {

// Words that stand for themselves only behind a '%'.
constexpr std::array<std::string_view, 40> kKeywords = {
    "as",       "async",     "bool", "borrow", "char",   "constructor", "enum",    "error-context",
    "export",   "f32",       "f64",  "flags",  "from",   "func",        "future",  "import",
    "include",  "interface", "list", "map",    "option", "own",         "package", "record",
    "resource", "result",    "s16",  "s32",    "s64",    "s8",          "static",  "stream",
    "string",   "tuple",     "type", "u16",    "u32",    "u64",         "u8",      "use"};

// Signatures are read by one process that made them, or from a file that anyone may have made:
// types in types have an end.
constexpr int kMaxDepth = 64;

bool is_in(char c, std::string_view set) { return set.find(c) != set.npos; }

// "detect_object", "DetectObject" and "object_" as WIT has names: "detect-object". A word begins
// with a letter.
std::string kebab(std::string_view name) {
  std::string out;
  bool is_boundary = false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto c = static_cast<unsigned char>(name[i]);
    if (std::isalnum(c) == 0) {
      is_boundary = true;
      continue;
    }
    const bool after_lower = i > 0 && std::islower(static_cast<unsigned char>(name[i - 1])) != 0;
    if (std::isupper(c) != 0 && after_lower) is_boundary = true;
    if (is_boundary && !out.empty() && std::isalpha(c) != 0) out.push_back('-');
    is_boundary = false;
    out.push_back(static_cast<char>(std::tolower(c)));
  }
  if (out.empty() || std::isdigit(static_cast<unsigned char>(out[0])) != 0) out.insert(0, "x");
  return out;
}

std::string escaped(std::string name) {
  const bool is_keyword =
      std::ranges::find(kKeywords, name) != kKeywords.end() || name == "world" || name == "with";
  return is_keyword ? "%" + name : name;
}

std::string_view last_part(std::string_view qualified) {
  const std::size_t at = qualified.rfind("::");
  return at == qualified.npos ? qualified : qualified.substr(at + 2);
}

// The names of one interface, each once.
class Names {
 public:
  // The name for something that C++ calls so; the whole of that where its last part is taken.
  std::string give(std::string_view qualified) {
    std::string name = kebab(last_part(qualified));
    if (!taken_.insert(name).second) {
      const std::string whole = kebab(qualified);
      name = whole;
      for (int i = 2; !taken_.insert(name).second; ++i) name = whole + "-v" + std::to_string(i);
    }
    return escaped(name);
  }

 private:
  std::set<std::string> taken_;
};

// Reads signatures, and collects the types that they name.
class SignatureReader {
 public:
  explicit SignatureReader(Names& names) : names_(names) {}

  // "(a: u32, b: string) -> bool". Empty when `signature` is none.
  std::string function(std::string_view signature) {
    rest_ = signature;
    const std::size_t open = rest_.find('(');
    if (open == rest_.npos) return {};
    rest_.remove_prefix(open + 1);
    ok_ = true;
    std::string out = "(";
    for (int i = 0; ok_ && !take(")"); ++i) {
      if (i > 0) require(",");
      out += (i > 0 ? ", p" : "p") + std::to_string(i) + ": " + type(0);
    }
    (void)take("const");
    require("->");
    const std::string result = take("nil") ? "" : type(0);
    out += result.empty() ? ")" : ") -> " + result;
    return ok_ && rest_.empty() ? out : "";
  }

  // The declarations of the types, in an order in which each knows those before it.
  [[nodiscard]] const std::string& declarations() const { return declarations_; }

 private:
  bool take(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  void require(std::string_view word) { ok_ = take(word) && ok_; }

  // All before one of `ends`, or before a ':' that is not part of a "::".
  std::string_view until(std::string_view ends) {
    std::size_t size = 0;
    while (size < rest_.size() && !is_in(rest_[size], ends)) {
      size += rest_.substr(size).starts_with("::") ? 2 : 1;
      if (size < rest_.size() && rest_[size] == ':' && !rest_.substr(size).starts_with("::")) break;
    }
    const std::string_view found = rest_.substr(0, size);
    rest_.remove_prefix(found.size());
    ok_ = ok_ && !found.empty();
    return found;
  }

  std::string type(int depth) {
    ok_ = ok_ && depth < kMaxDepth;
    if (!ok_) return {};
    if (take("list<")) return "list<" + closed(type(depth + 1)) + ">";
    if (take("optional<")) return "option<" + closed(type(depth + 1)) + ">";
    if (take("array<")) {
      const std::string element = type(depth + 1);
      require(",");
      (void)until(">");
      return "list<" + closed(element) + ">";
    }
    if (take("map<")) {
      const std::string key = type(depth + 1);
      require(",");
      return "list<tuple<" + key + ", " + closed(type(depth + 1)) + ">>";
    }
    if (take("tuple<")) {
      std::string out = "tuple<" + type(depth + 1);
      while (ok_ && take(",")) out += ", " + type(depth + 1);
      return closed(out) + ">";
    }
    if (take("struct ")) return record(depth);
    if (take("enum ")) return enumeration(depth);
    return simple();
  }
  std::string closed(std::string inner) {
    require(">");
    return inner;
  }

  std::string record(int depth) {
    const std::string name(until("{"));
    require("{");
    std::string members;
    Names of_members;
    while (ok_ && !take("}")) {
      if (!members.empty()) require(",");
      const std::string member(until(""));
      require(":");
      members += "    " + of_members.give(member) + ": " + type(depth + 1) + ",\n";
    }
    return declared(name, "record", " {\n" + members + "  }\n");
  }

  std::string enumeration(int depth) {
    const std::string name(until(""));
    require(":");
    return declared(name, "type", " = " + type(depth + 1) + ";\n");
  }

  std::string declared(const std::string& name, const char* kind, const std::string& what) {
    const auto [found, is_new] = declared_.try_emplace(name);
    if (is_new) {
      found->second = names_.give(name);
      declarations_ += "  /// " + name + "\n  " + kind + " " + found->second + what + "\n";
    }
    return found->second;
  }

  std::string simple() {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kTypes = {
        {{"bool", "bool"},
         {"char", "u8"},
         {"byte", "u8"},
         {"i8", "s8"},
         {"i16", "s16"},
         {"i32", "s32"},
         {"i64", "s64"},
         {"u8", "u8"},
         {"u16", "u16"},
         {"u32", "u32"},
         {"u64", "u64"},
         {"f32", "f32"},
         {"f64", "f64"},
         {"string", "string"}}};
    const std::string_view word = until(",>)}");
    if (word == "image") {
      return declared("aloft::Image", "record",
                      " {\n    width: u32,\n    height: u32,\n    format: u8,\n    pixels: "
                      "list<u8>,\n  }\n");
    }
    const auto* const found =
        std::ranges::find(kTypes, word, &std::pair<std::string_view, std::string_view>::first);
    if (found == kTypes.end()) {
      ok_ = false;
      return {};
    }
    return std::string(found->second);
  }

  Names& names_;
  std::string_view rest_;
  bool ok_ = true;
  std::map<std::string, std::string> declared_;  // by the name in C++
  std::string declarations_;
};

}  // namespace

Result<std::string> wit_of(const std::string& manifest) {
  const auto json = nlohmann::json::parse(manifest, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("functions") || !json.at("functions").is_array())
    return fail(Errc::corrupt, "the manifest is not one of aloft-cc's");
  // Names of resources first: people know those.
  Names names;
  std::vector<std::pair<std::string, std::string>> resources;  // name, methods
  for (const auto& object : json.value("objects", nlohmann::json::array()))
    resources.emplace_back(names.give(object.value("name", "")), "");
  SignatureReader reader(names);
  std::map<std::size_t, Names> methods;
  std::string functions;
  for (const auto& function : json.at("functions")) {
    const std::string signature = function.value("signature", "");
    const std::string name = function.value("name", "");
    const std::string type = reader.function(signature);
    if (type.empty()) return fail(Errc::corrupt, "no signature of a function: " + signature);
    const bool is_method = function.contains("object");
    const auto object = is_method ? function.value("object", std::size_t{0}) : resources.size();
    if (is_method && object >= resources.size())
      return fail(Errc::corrupt, "a method of no class: " + name);
    const std::string indent = is_method ? "    " : "  ";
    (is_method ? resources[object].second : functions) +=
        indent + "/// " + signature + "\n" + indent +
        (is_method ? methods[object].give(name) : names.give(name)) + ": func" + type + ";\n";
  }
  const std::string module = escaped(kebab(json.value("module", "")));
  std::string out =
      "package aloft:" + module + ";\n\ninterface functions {\n" + reader.declarations();
  for (const auto& [name, body] : resources)
    out += "  resource " + name + " {\n    constructor();\n" + body + "  }\n\n";
  return out + functions + "}\n\nworld guest {\n  export functions;\n}\n";
}

}  // namespace aloft::compiler
