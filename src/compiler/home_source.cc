#include "compiler/home_source.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "compiler/emit_text.h"

namespace aloft::compiler {
namespace {

// A declaration in C as wasm2c writes them, on one line: "u32 SYMBOL(INSTANCE*, u32, u64);".
struct Declaration {
  std::string_view result;
  std::string_view symbol;
  std::vector<std::string_view> parameters;
};

std::optional<Declaration> declaration(std::string_view line) {
  const std::size_t open = line.find('(');
  if (open == line.npos || !line.ends_with(");")) return std::nullopt;
  const std::string_view before = line.substr(0, open);
  const std::size_t space = before.rfind(' ');
  if (space == before.npos) return std::nullopt;
  Declaration made{
      .result = before.substr(0, space), .symbol = before.substr(space + 1), .parameters = {}};
  std::string_view rest = line.substr(open + 1, line.size() - open - 3);
  while (!rest.empty()) {
    const std::size_t comma = rest.find(", ");
    made.parameters.push_back(rest.substr(0, comma));
    if (comma == rest.npos) break;
    rest = rest.substr(comma + 2);
  }
  return made;
}

// "/* import: 'MODULE' 'NAME' */" or "/* export: 'NAME' */": what stands between the quotes, one
// after the other; nothing: it is another line.
std::vector<std::string_view> names_in(std::string_view line, std::string_view kind) {
  std::vector<std::string_view> names;
  if (!line.starts_with("/* " + std::string(kind) + ": '") || !line.ends_with("' */")) return names;
  std::string_view rest = line.substr(kind.size() + 6, line.size() - kind.size() - 10);
  for (;;) {
    const std::size_t end = rest.find("' '");
    names.push_back(rest.substr(0, end));
    if (end == rest.npos) return names;
    rest = rest.substr(end + 3);
  }
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text = text.substr(std::min(end + 1, text.size()));
  }
  return lines;
}

// "Z_NAME_" as wasm2c begins the module's own names: a Z within one is written as its code.
std::string prefix_of(std::string_view module) {
  std::string prefix = "Z_";
  for (const char c : module) prefix += c == 'Z' ? "Z5A" : std::string(1, c);
  return prefix + "_";
}

struct Import {
  std::string_view module;
  std::string_view name;
  Declaration function;
};
struct Export {
  std::string_view name;
  Declaration function;
};

struct Header {
  std::vector<Import> imports;
  std::vector<Export> exports;  // functions of the ABI's kind
  std::string_view memory;      // the symbol that gives it
  Declaration instantiate;
};

bool is_number(std::string_view type) { return type == "u32" || type == "u64"; }

// Numbers only, behind the instance or the module that comes first.
bool takes_numbers(const Declaration& function) {
  return !function.parameters.empty() &&
         std::all_of(function.parameters.begin() + 1, function.parameters.end(), &is_number) &&
         (function.result == "u32" || function.result == "void");
}

Result<Header> read(std::string_view module, std::string_view text) {
  const std::string prefix = "void " + prefix_of(module) + "instantiate(";
  Header header;
  const std::vector<std::string_view> lines = lines_of(text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string_view next = i + 1 < lines.size() ? lines[i + 1] : std::string_view();
    if (const auto names = names_in(lines[i], "import"); names.size() == 2) {
      auto function = declaration(next);
      if (!function || !takes_numbers(*function))
        return fail(Errc::refused, "the guest imports '" + std::string(names[0]) + "." +
                                       std::string(names[1]) +
                                       "', which is no function of integers");
      header.imports.push_back({names[0], names[1], *std::move(function)});
    } else if (const auto exported = names_in(lines[i], "export"); exported.size() == 1) {
      auto function = declaration(next);
      if (!function) continue;
      if (exported[0] == "memory" && function->result == "wasm_rt_memory_t*")
        header.memory = function->symbol;
      const bool is_ours =
          takes_numbers(*function) &&
          std::ranges::find(function->parameters, "u64") == function->parameters.end();
      if (is_ours) header.exports.push_back({exported[0], *std::move(function)});
    } else if (lines[i].starts_with(prefix)) {
      if (auto function = declaration(lines[i])) header.instantiate = *std::move(function);
    }
  }
  if (header.memory.empty() || header.instantiate.symbol.empty())
    return fail(Errc::corrupt, "this is no header that wasm2c 1.0.32 writes");
  return header;
}

std::string own_name(const std::string& module, std::size_t import) {
  return "aloft_" + module + "_import_" + std::to_string(import);
}

std::string type_of(const Import& import) {
  std::string letters;
  for (std::size_t i = 1; i < import.function.parameters.size(); ++i)
    letters += import.function.parameters[i] == "u64" ? 'I' : 'i';
  return letters;
}

// An import's body: hands the arguments over.
std::string import_body(const Import& import, const std::string& name, std::size_t index) {
  const auto& parameters = import.function.parameters;
  std::string list = std::string(parameters[0]) + " host";
  std::string values;
  for (std::size_t i = 1; i < parameters.size(); ++i) {
    const std::string value = "p" + std::to_string(i);
    list += ", " + std::string(parameters[i]) + " " + value;
    values += std::string(values.empty() ? "" : ", ") +
              (parameters[i] == "u64" ? "{.i64 = " : "{.i32 = ") + value + "}";
  }
  const std::string call = "aloft_translated_call_import(host, " + std::to_string(index) + ", " +
                           (values.empty() ? "0" : "arguments") + ");\n}\n";
  return std::string(import.function.result) + " " + name + "(" + list + ") {\n" +
         (values.empty() ? ""
                         : "  const aloft_translated_value arguments[] = {" + values + "};\n") +
         (import.function.result == "void" ? "  (void)" : "  return ") + call;
}

std::string export_body(const Export& of, std::size_t index) {
  std::string call = std::string(of.function.symbol) + "(instance";
  for (std::size_t i = 1; i < of.function.parameters.size(); ++i)
    call += ", arguments[" + std::to_string(i - 1) + "]";
  call += ");";
  return "static uint32_t export_" + std::to_string(index) +
         "(void* instance, const uint32_t* arguments) {\n  (void)arguments;\n  " +
         (of.function.result == "void" ? call + "\n  return 0;" : "return " + call) + "\n}\n";
}

// An array's elements; C has no empty array.
std::string array(const std::string& type, const std::string& name, const std::string& elements) {
  return "static const " + type + " " + name + "[] = {\n" +
         (elements.empty() ? "    {0},\n" : elements) + "};\n";
}

}  // namespace

std::string home_symbol(std::string_view module) {
  return "aloft_translated_" + std::string(module);
}

Result<std::string> home_source(const std::string& module, std::string_view header,
                                const std::string& translated) {
  const Result<Header> read_header = read(module, header);
  if (!read_header) return std::unexpected(read_header.error());
  const auto& [imports, exports, memory, instantiate] = *read_header;

  std::string out = std::string(kGenerated) + "#include <aloft/detail/translated/module.h>\n\n";
  // Names of this module's own: a program may have several.
  for (std::size_t i = 0; i < imports.size(); ++i)
    out += "#define " + std::string(imports[i].function.symbol) + " " + own_name(module, i) + "\n";
  out += "#include " + literal(translated) + "\n\n";

  std::string import_list;
  for (std::size_t i = 0; i < imports.size(); ++i) {
    out += import_body(imports[i], own_name(module, i), i);
    import_list += "    {" + literal(imports[i].module) + ", " + literal(imports[i].name) + ", " +
                   literal(type_of(imports[i])) +
                   (imports[i].function.result == "u32" ? ", 1},\n" : ", 0},\n");
  }
  std::string export_list;
  for (std::size_t i = 0; i < exports.size(); ++i) {
    out += export_body(exports[i], i);
    export_list += "    {" + literal(exports[i].name) + ", " +
                   std::to_string(exports[i].function.parameters.size() - 1) + ", &export_" +
                   std::to_string(i) + "},\n";
  }
  out += array("aloft_translated_import", "imports", import_list);
  out += array("aloft_translated_export", "exports", export_list);

  const std::string z = prefix_of(module);
  out += "static void make(void* instance, void* host) {\n  (void)host;\n  " +
         std::string(instantiate.symbol) + "(instance";
  for (std::size_t i = 1; i < instantiate.parameters.size(); ++i) out += ", host";
  out += ");\n}\nstatic void drop(void* instance) { " + z + "free(instance); }\n";
  out += "static wasm_rt_memory_t* memory(void* instance) { return " + std::string(memory) +
         "(instance); }\n";
  out +=
      "static void set_stack_end(uintptr_t end) { aloft_translated_stack_end = end; }\n\n"
      "const aloft_translated_module " +
      home_symbol(module) + " = {\n    " + literal(module) + ", sizeof(" + z + "instance_t), &" +
      z + "init_module, &make, &drop, &memory, &set_stack_end,\n    imports, " +
      std::to_string(imports.size()) + ", exports, " + std::to_string(exports.size()) + "};\n";
  return out;
}

}  // namespace aloft::compiler
