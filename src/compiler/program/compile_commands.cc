#include "compiler/program/compile_commands.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <clang-c/CXCompilationDatabase.h>

#include "compiler/clang_ast.h"

namespace aloft::compiler {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDatabase = "compile_commands.json";

constexpr std::array<std::string_view, 8> kExtensions = {".cc", ".cpp", ".cxx", ".c++",
                                                         ".C",  ".CPP", ".cp",  ".ixx"};

// Options whose value is a folder or a file.
constexpr std::array<std::string_view, 6> kPaths = {"-I",         "-isystem", "-iquote",
                                                    "-idirafter", "-include", "-imacros"};
constexpr std::array<std::string_view, 2> kMacros = {"-D", "-U"};
// Of this machine alone.
constexpr std::array<std::string_view, 9> kHostOnly = {
    "-fno-exceptions", "-fexceptions",  "-fno-rtti", "-frtti",      "-fsigned-char",
    "-funsigned-char", "-fshort-enums", "-pthread",  "-fpermissive"};

struct Split {
  std::string_view option;
  std::string_view value;  // empty: it is the next argument
};

// What `argument` is, if it is one of `options`, written together with its value or before it.
template <std::size_t N>
const std::string_view* option_of(std::string_view argument,
                                  const std::array<std::string_view, N>& options, Split& split) {
  for (const std::string_view& option : options) {
    if (!argument.starts_with(option)) continue;
    split = {option, argument.substr(option.size())};
    return &option;
  }
  return nullptr;
}

// The folders of the host's own library: a guest has its own.
bool is_of_host(const fs::path& folder) {
  const std::string name = folder.lexically_normal().string();
  return name == "/usr/include" || name == "/usr/include/" ||
         name.starts_with("/usr/include/x86_64-linux-gnu") ||
         name.starts_with("/usr/include/aarch64-linux-gnu") || name.starts_with("/usr/include/c++");
}

class Flags {
 public:
  Flags(fs::path folder, CompileCommand& command) : folder_(std::move(folder)), command_(command) {}

  void add(const std::vector<std::string>& arguments) {
    for (std::size_t i = 1; i < arguments.size(); ++i) {
      Split split;
      if (option_of(arguments[i], kPaths, split) != nullptr) {
        if (const auto value = value_of(arguments, i, split)) add_path(split.option, *value);
      } else if (option_of(arguments[i], kMacros, split) != nullptr) {
        if (const auto value = value_of(arguments, i, split)) add_macro(split.option, *value);
      } else if (arguments[i].starts_with("-std=")) {
        command_.host.push_back(arguments[i]);
        command_.guest.push_back(arguments[i]);
      } else if (std::ranges::find(kHostOnly, arguments[i]) != kHostOnly.end() ||
                 arguments[i].starts_with("-m")) {
        command_.host.push_back(arguments[i]);
      }
    }
  }

 private:
  static const std::string* value_in(const std::vector<std::string>& arguments, std::size_t& i) {
    return i + 1 < arguments.size() ? &arguments[++i] : nullptr;
  }
  static std::optional<std::string> value_of(const std::vector<std::string>& arguments,
                                             std::size_t& i, const Split& split) {
    if (!split.value.empty()) return std::string(split.value);
    const std::string* next = value_in(arguments, i);
    return next == nullptr ? std::nullopt : std::optional(*next);
  }

  void add_path(std::string_view option, const std::string& value) {
    const fs::path path = (folder_ / value).lexically_normal();
    const bool is_file = option == "-include" || option == "-imacros";
    std::error_code ignored;  // a file that is not there is looked for in the folders
    const std::string found = is_file && !fs::exists(path, ignored) ? value : path.string();
    for (std::vector<std::string>* flags : {&command_.host, &command_.guest}) {
      if (flags == &command_.guest && !is_file && is_of_host(path)) continue;
      flags->emplace_back(option);
      flags->push_back(found);
    }
  }

  void add_macro(std::string_view option, const std::string& value) {
    command_.host.push_back(std::string(option) + value);
    if (!value.starts_with("_FORTIFY_SOURCE")) command_.guest.push_back(command_.host.back());
  }

  fs::path folder_;
  CompileCommand& command_;
};

struct DisposeDatabase {
  void operator()(CXCompilationDatabase database) const {
    clang_CompilationDatabase_dispose(database);
  }
};
struct DisposeCommands {
  void operator()(CXCompileCommands commands) const { clang_CompileCommands_dispose(commands); }
};

}  // namespace

Result<CompileCommands> read_compile_commands(const fs::path& folder) {
  std::error_code ignored;
  const std::string file = (folder / kDatabase).string();
  if (!fs::exists(file, ignored)) {
    return fail(Errc::not_found, file +
                                     ": there is no such file; configure the program with "
                                     "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON, or build it under bear");
  }
  CXCompilationDatabase_Error error = CXCompilationDatabase_NoError;
  const std::unique_ptr<void, DisposeDatabase> database(
      clang_CompilationDatabase_fromDirectory(folder.c_str(), &error));
  if (database == nullptr || error != CXCompilationDatabase_NoError)
    return fail(Errc::invalid_argument, file + ": this is not a list of compile commands");
  const std::unique_ptr<void, DisposeCommands> commands(
      clang_CompilationDatabase_getAllCompileCommands(database.get()));
  CompileCommands result;
  std::set<std::string> seen;
  for (unsigned i = 0; i < clang_CompileCommands_getSize(commands.get()); ++i) {
    CXCompileCommand command = clang_CompileCommands_getCommand(commands.get(), i);
    const fs::path at = to_string(clang_CompileCommand_getDirectory(command));
    const fs::path source = to_string(clang_CompileCommand_getFilename(command));
    CompileCommand made{(fs::absolute(folder) / at / source).lexically_normal().string(), {}, {}};
    if (!seen.insert(made.file).second) continue;
    if (std::ranges::find(kExtensions, source.extension().string()) == kExtensions.end()) {
      result.not_cpp.push_back(std::move(made.file));
      continue;
    }
    std::vector<std::string> arguments;
    for (unsigned n = 0; n < clang_CompileCommand_getNumArgs(command); ++n)
      arguments.push_back(to_string(clang_CompileCommand_getArg(command, n)));
    Flags(fs::absolute(folder) / at, made).add(arguments);
    result.cpp.push_back(std::move(made));
  }
  if (result.cpp.empty()) {
    return fail(Errc::invalid_argument,
                file + ": it names no C++ source" +
                    (result.not_cpp.empty()
                         ? ""
                         : ", only " + result.not_cpp.front() +
                               " and the like; tagged functions are C++, and may call into a "
                               "library in C that is built for guests (aloft_add_guest_library)"));
  }
  return result;
}

}  // namespace aloft::compiler
