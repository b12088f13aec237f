// aloft new: the files of a project of one's own, outside of aloft's: a function, a program that
// calls it, a test of it, and how they are built.
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "commands.h"
#include "project_files.h"

namespace aloft::cli {
namespace {

namespace fs = std::filesystem;

// Names that CMake or C++ has taken.
constexpr std::array<std::string_view, 24> kTaken = {
    "all",   "aloft", "and",  "auto",   "bool",   "break",  "case", "char",
    "class", "clean", "help", "double", "export", "float",  "for",  "if",
    "int",   "main",  "not",  "return", "std",    "struct", "test", "install"};

Result<void> check_name(const std::string& name) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const bool is_word = !name.empty() && name.size() <= 40 && is_letter(name[0]) &&
                       std::ranges::all_of(name, [&](char c) {
                         return is_letter(c) || (c >= '0' && c <= '9') || c == '_';
                       });
  if (!is_word) {
    return fail(Errc::invalid_argument,
                "the name '" + name +
                    "' is not a small letter followed by small letters, digits and '_' (40 in "
                    "all), as a namespace and a module need");
  }
  if (std::ranges::find(kTaken, name) != kTaken.end())
    return fail(Errc::invalid_argument,
                "'" + name + "' is a word of C++, of CMake or of aloft: choose another name");
  return {};
}

std::string filled(std::string_view text, const std::string& name) {
  std::string out(text);
  constexpr std::string_view kPlaceholder = "@NAME@";
  for (std::size_t at = 0; (at = out.find(kPlaceholder, at)) != std::string::npos;)
    out.replace(at, kPlaceholder.size(), name);
  return out;
}

Result<void> make_project(const fs::path& parent, const std::string& name) {
  if (auto good = check_name(name); !good) return good;
  const fs::path folder = parent / name;
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_empty(folder, error)) {
    return fail(Errc::invalid_argument,
                folder.string() + " is there already, and not empty: choose another name or --dir");
  }
  fs::create_directories(folder, error);
  if (error) return fail(Errc::refused, folder.string() + ": " + error.message());
  for (const ProjectFile& each : kProjectFiles) {
    const fs::path file = folder / filled(each.name, name);
    std::ofstream out(file, std::ios::binary);
    out << filled(each.text, name) << std::flush;
    if (!out) return fail(Errc::refused, file.string() + ": cannot be written");
  }
  return {};
}

}  // namespace

void add_new_command(CLI::App& app, Context& context) {
  struct Options {
    std::string name;
    fs::path parent = ".";
  };
  const auto options = std::make_shared<Options>();
  auto* const command = app.add_subcommand(
      "new", "a project of your own: a function for the edge, a program that calls it, a test");
  command->add_option("name", options->name, "of the project, its module and its namespace")
      ->required();
  command->add_option("--dir", options->parent, "where to make its folder")->capture_default_str();
  command->callback([&context, options] {
    if (auto made = make_project(options->parent, options->name); !made)
      return failed(context, made.error());
    const std::string folder = (options->parent / options->name).lexically_normal().string();
    std::printf(
        "%s is there. Now:\n"
        "\n"
        "  cd %s\n"
        "  aloft dev ./build/%s_app      runs it against an edge of its own; then change %s.cc\n",
        folder.c_str(), folder.c_str(), options->name.c_str(), options->name.c_str());
  });
}

}  // namespace aloft::cli
