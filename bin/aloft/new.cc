// aloft new: the files of a project of one's own, outside of aloft's: a function, a program that
// calls it, a test of it, and how they are built.
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "commands.h"
#include "project_files.h"
#include "project_languages.h"

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

// With what stands for @WORD@ in place of it.
std::string replaced(std::string text, std::string_view word, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += by.size())
    text.replace(at, word.size(), by);
  return text;
}

std::string filled(std::string_view text, const std::string& name,
                   const ProjectLanguage& language) {
  std::string out = replaced(std::string(text), "@MODULE@", language.module);
  out = replaced(std::move(out), "@GUEST@", language.guest);
  out = replaced(std::move(out), "@TEST@", language.tests.empty() ? "" : kTestLines);
  out = replaced(std::move(out), "@SOURCE@", language.source);
  return replaced(std::move(out), "@NAME@", name);
}

const ProjectLanguage& language_of(std::string_view name) {
  return *std::ranges::find(kLanguages, name, &ProjectLanguage::name);
}

Result<void> make_project(const fs::path& parent, const std::string& name,
                          const ProjectLanguage& language) {
  if (auto good = check_name(name); !good) return good;
  const fs::path folder = parent / name;
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_empty(folder, error)) {
    return fail(Errc::invalid_argument,
                folder.string() + " is there already, and not empty: choose another name or --dir");
  }
  fs::create_directories(folder, error);
  if (error) return fail(Errc::refused, folder.string() + ": " + error.message());
  for (const std::span<const ProjectFile> files :
       {std::span<const ProjectFile>(kCommonFiles), language.files, language.tests}) {
    for (const ProjectFile& each : files) {
      const fs::path file = folder / filled(each.name, name, language);
      std::ofstream out(file, std::ios::binary);
      out << filled(each.text, name, language) << std::flush;
      if (!out) return fail(Errc::refused, file.string() + ": cannot be written");
    }
  }
  return {};
}

}  // namespace

void add_new_command(CLI::App& app, Context& context) {
  struct Options {
    std::string name;
    fs::path parent = ".";
    std::string language = "c++";
  };
  const auto options = std::make_shared<Options>();
  auto* const command = app.add_subcommand(
      "new", "a project of your own: a function for the edge, a program that calls it, a test");
  command->add_option("name", options->name, "of the project, its module and its namespace")
      ->required();
  command->add_option("--dir", options->parent, "where to make its folder")->capture_default_str();
  std::vector<std::string> languages;
  for (const ProjectLanguage& language : kLanguages) languages.emplace_back(language.name);
  command
      ->add_option("--language", options->language,
                   "that the function is written in (docs/languages.md)")
      ->check(CLI::IsMember(languages))
      ->capture_default_str();
  command->callback([&context, options] {
    const ProjectLanguage& language = language_of(options->language);
    if (auto made = make_project(options->parent, options->name, language); !made)
      return failed(context, made.error());
    const std::string folder = (options->parent / options->name).lexically_normal().string();
    std::printf(
        "%s is there. Now:\n"
        "\n"
        "  cd %s\n"
        "  aloft dev ./build/%s_app      runs it against an edge of its own; then change %s\n",
        folder.c_str(), folder.c_str(), options->name.c_str(),
        filled(language.source, options->name, language).c_str());
  });
}

}  // namespace aloft::cli
