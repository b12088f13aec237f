#include "compiler/emit.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "compiler/emit_text.h"

namespace aloft::compiler {

namespace {

// An insertion into, or a replacement of, the source's text.
struct Edit {
  std::size_t offset = 0;
  std::size_t removed = 0;
  std::string text;
};

// Goes on at `where` on a fresh line, so that what follows has the line and column it had.
std::string resume_at(const Location& where, unsigned column, const std::string& file) {
  return "\n" + line_directive(where.line, file) + std::string(column - 1, ' ');
}

std::string apply(std::string_view text, std::vector<Edit> edits) {
  std::ranges::sort(edits, {}, &Edit::offset);
  std::string out;
  std::size_t at = 0;
  for (const Edit& edit : edits) {
    out.append(text.substr(at, edit.offset - at)).append(edit.text);
    at = edit.offset + edit.removed;
  }
  return out.append(text.substr(at));
}

// What must be declared before the definition under its other name, or nothing.
std::string declarations_before(const Function& function, std::string_view text) {
  const std::span<const Scope> scopes = function.scopes;
  const std::span<const Scope> inner =
      scopes.subspan(std::min(function.lexical_scopes.size(), scopes.size()));
  const std::string result = function.result.spelling + " ";
  // A qualified definition needs its name declared in the namespace that it names.
  if (!inner.empty())
    return open(inner) + result + declarator(function, kHere) + ";" + close(inner);
  // Calls that follow in the same file need the dispatching function's declaration.
  if (!function.needs_declaration) return {};
  const std::size_t begin = function.definition.offset;
  return std::string(text.substr(begin, function.body.offset - begin)) + ";";
}

// The developer's text, then `tail`, of which compilers speak as of `file`.
std::string with_tail(const std::string& head, std::string_view text, const std::string& tail,
                      const std::string& file) {
  std::string out = head + std::string(text);
  if (!out.ends_with('\n')) out += "\n";
  const auto lines = static_cast<unsigned>(std::ranges::count(out, '\n'));
  out += line_directive(lines + 2, file);
  return out + tail;
}

// The dispatching function and its twin.
std::string emit_dispatch(const Module& module, const Function& function, std::size_t index) {
  const std::string value = result_value(function);
  const std::string types = parameter_types(function);
  // Of a function without a result, the elastic one has a value that stands for it.
  const std::string here =
      function.result.spelling != "void"
          ? pointer_to(function, kHere)
          : "static_cast<" + value + " (*)(" + types + ")>([](" + parameter_list(function) +
                ") { " + global_name(function) + std::string(kHere) + "(" +
                passed_on(function, Names::generated).erase(0, 2) + "); return " + value + "(); })";
  const std::string call = "<" + value + (types.empty() ? "" : ", " + types) + ">(\n      " +
                           descriptor_of(module, index) + ",\n      " + here +
                           passed_on(function, Names::generated) + ")";
  const std::string before = function.result.spelling == "void" ? "(void)" : "return ";
  std::string out = open(function.scopes) + "\n";
  out += function.result.spelling + " " + declarator(function, "") + " {\n  " + before +
         "::aloft::detail::call" + call + ";\n}\n";
  out += "::aloft::Future<" + value + "> " + function.name + "_async(" + parameter_list(function) +
         ") {\n  return ::aloft::detail::call_async" + call + ";\n}\n";
  return out + close(function.scopes) + "\n";
}

// The beginning of a method's definition: its call is dispatched, unless this is where it runs.
std::string emit_preamble(const Module& module, const Function& function, std::size_t index) {
  return "if (::aloft::detail::dispatching()) return " + module_name_of(module) + "::method<" +
         std::to_string(index) + ", " + result_and_parameters(function) + ">(*this" +
         passed_on(function, Names::written) + ");";
}

// What the preambles call. It is declared before the developer's text, in words that need no
// header, and defined behind it, where all types are known.
constexpr std::string_view kMethod =
    "template <unsigned N, class R, class... P, class T> R method(T& object, P... arguments)";

std::string declare_method(const Module& module) {
  return "namespace " + internal_namespace(module.name) + " { " + std::string(kMethod) + "; }\n";
}
std::string define_method() {
  return "template <unsigned N> struct MethodOf;\n" + std::string(kMethod) +
         " {\n  return ::aloft::detail::call_method<R, P...>(functions[N], object, "
         "MethodOf<N>::pointer,\n      static_cast<P&&>(arguments)...);\n}\n";
}

std::string emit_method_async(const Module& module, const Function& function, std::size_t index) {
  const std::vector<Scope> around = namespaces(function);
  return open(around) + "\n::aloft::Future<" + result_value(function) + "> " + function.name +
         "_async(" + parameter_list(function) +
         ") {\n  return ::aloft::detail::call_method_async<" + result_and_parameters(function) +
         ">(\n      " + descriptor_of(module, index) + ", aloft_object,\n      " +
         pointer_to(function, "") + passed_on(function, Names::generated) + ");\n}\n" +
         close(around) + "\n";
}

// What the descriptor of a function points at: in the module's namespace.
std::string emit_entries(const Function& function, std::size_t index) {
  const std::string number = std::to_string(index);
  const std::string types = parameter_types(function);
  std::string run;
  if (function.method) {
    run = "run_encoded_method<" + types + ">(*static_cast<" + function.method->class_spelling +
          "*>(object),\n      " + pointer_to(function, "");
  } else {
    run = "run_encoded<" + result_and_parameters(function) + ">(" + pointer_to(function, kHere);
  }
  std::string out;
  if (function.method) {
    out = "template <> struct MethodOf<" + number + "> { static constexpr auto pointer =\n    " +
          pointer_to(function, "") + "; };\n";
  }
  out += "::aloft::Result<::std::vector<::std::byte>> run_encoded_" + number + "(void*" +
         (function.method ? " object" : "") +
         ", ::std::span<const ::std::byte> arguments) {\n  return ::aloft::detail::" + run +
         ", arguments);\n}\n";
  if (!function.method) {
    out += "::aloft::Result<double> loss_between_" + number +
           "(const ::aloft::Loss& loss, ::std::span<const ::std::byte> with_codec,\n"
           "    ::std::span<const ::std::byte> raw) {\n  return ::aloft::detail::loss_between<" +
           result_value(function) + ">(loss, with_codec, raw);\n}\n";
  }
  return out + "::aloft::detail::Identity identity_" + number +
         "() {\n  return ::aloft::detail::identity_of(" + pointer_to(function, "") + ");\n}\n";
}

// What the descriptor of a class points at.
std::string emit_class(const Module& module, const Class& of) {
  const std::string number = std::to_string(of.index);
  return "namespace " + internal_namespace(module.name) +
         " {\n::std::unique_ptr<::aloft::detail::NativeObject> native_" + number +
         "(void* object) {\n  return ::aloft::detail::NativeObjectOf<::" + of.qualified_name +
         ">::make(object);\n}\n}\nconst ::aloft::detail::ObjectClass& " + of.qualified_name +
         "::aloft_class() { return " + module_name_of(module) + "::objects[" + number + "]; }\n";
}

// A function's definition gets the name of the native one.
void add_function_edits(const Function& function, const std::string& path, std::string_view text,
                        std::vector<Edit>& edits) {
  if (const std::string before = declarations_before(function, text); !before.empty()) {
    edits.push_back({function.definition.offset, 0,
                     before + resume_at(function.definition, function.definition.column, path)});
  }
  const auto after = static_cast<unsigned>(function.name_token.column + function.name.size());
  edits.push_back(
      {function.name_token.offset, function.name.size(),
       function.name + std::string(kHere) + resume_at(function.name_token, after, path)});
}

// A method's definition stays the native one, but for what comes first in it.
void add_method_edits(const Function& function, const std::string& path,
                      const std::string& preamble, std::vector<Edit>& edits) {
  std::size_t named = 0;  // of the unnamed parameters
  for (std::size_t i = 0; i < function.parameters.size(); ++i) {
    if (!function.parameters[i].name.empty()) continue;
    const Location& where = function.method->unnamed[named++];
    edits.push_back(
        {where.offset, 0, "\naloft_" + std::to_string(i) + resume_at(where, where.column, path)});
  }
  edits.push_back({function.body.offset + std::size_t{1}, 0,
                   "\n" + preamble + resume_at(function.body, function.body.column + 1, path)});
}

}  // namespace

std::string emit_native(const Module& module, const Source& source, std::string_view text,
                        const std::string& file) {
  std::vector<Edit> edits;
  std::string entries;
  std::string dispatch;
  bool has_methods = false;
  const std::vector<const Function*> all = module.functions();
  for (const Function& function : source.functions) {
    const auto index = static_cast<std::size_t>(std::ranges::find(all, &function) - all.begin());
    entries += emit_entries(function, index);
    if (function.method) {
      has_methods = true;
      add_method_edits(function, source.path, emit_preamble(module, function, index), edits);
      dispatch += emit_method_async(module, function, index);
    } else {
      add_function_edits(function, source.path, text, edits);
      dispatch += emit_dispatch(module, function, index);
    }
  }
  std::string tail;
  if (!source.functions.empty()) {
    tail =
        "\n" + std::string(kGenerated) +
        "#include <cstddef>\n#include <memory>\n#include <span>\n#include <tuple>\n#include "
        "<variant>\n#include <vector>\n\n#include <aloft/codec.h>\n#include "
        "<aloft/detail/encoded_run.h>\n#include <aloft/dispatch.h>\n#include "
        "<aloft/object.h>\n" +
        std::string(module.home == Home::translated ? "#include <aloft/detail/translated_guest.h>\n"
                                                    : "") +
        "\n";
    tail += emit_fields(types_of(source));
    tail += "namespace " + internal_namespace(module.name) + " {\n" + std::string(kExterns) +
            (has_methods ? define_method() : "") + entries + "}\n";
    if (module.home == Home::translated) tail += define_home(module.name);
    for (const Class& of : source.classes) tail += emit_class(module, of);
    tail += dispatch;
  }
  const std::string head = has_methods ? declare_method(module) : "";
  return with_tail(head + line_directive(1, source.path), apply(text, std::move(edits)), tail,
                   file);
}

std::string emit_guest(const Source& source, std::string_view text, const std::string& file) {
  std::string tail;
  if (!source.functions.empty()) {
    tail = "\n" + std::string(kGenerated) +
           "#include <tuple>\n\n#include <aloft_guest/export.h>\n#include "
           "<aloft_guest/object.h>\n\n" +
           emit_fields(types_of(source));
  }
  for (const Class& of : source.classes) {
    const std::string number = std::to_string(of.index);
    tail += "static const ::aloft::guest::ObjectRegistration aloft_object_" + number + "(" +
            number + ", " + literal(of.qualified_name) +
            ",\n    &::aloft::guest::make_object<::" + of.qualified_name + ">);\n";
  }
  for (const Function& function : source.functions) {
    tail += "extern \"C\" [[clang::export_name(\"" + function.export_name +
            "\")]]\nconst ::std::uint32_t* " + function.export_name +
            "(const ::std::byte* arguments, ::std::uint32_t size) {\n" +
            "  return ::aloft::guest::" +
            (function.method ? "call_method<" + function.method->class_spelling + ", " : "call<") +
            result_and_parameters(function) + ">(\n      " + literal(function.qualified_name) +
            ",\n      " + pointer_to(function, "") + ", arguments, size);\n}\n";
  }
  return with_tail(line_directive(1, source.path), text, tail, file);
}

}  // namespace aloft::compiler
