// Sources that aloft-cc takes or refuses, each with exactly what it says about them (NAME.expected
// beside NAME.cc). With ALOFT_UPDATE_EXPECTED=1 in the environment the expectations are written
// anew, for reading them over.

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "compiler/command.h"
#include "test_paths.h"

namespace aloft::compiler {
namespace {

namespace fs = std::filesystem;

fs::path testdata() { return testing::source_dir() / "src/compiler/testdata"; }

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> fixtures(const char* folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(testdata() / folder)) {
    if (entry.path().extension() == ".cc") names.push_back(entry.path().stem());
  }
  std::ranges::sort(names);
  return names;
}

struct Attempt {
  ModuleOutcome outcome;
  fs::path output;
};

Attempt run(const fs::path& source) {
  ModuleCommand command;
  command.name = "fixture";
  command.sources = {source};
  command.output =
      testing::binary_dir() / "compiler_fixtures" / source.parent_path().filename() / source.stem();
  fs::remove_all(command.output);
  command.sysroot = testing::binary_dir() / "wasi-sysroot";
  command.resource_dir = ALOFT_TEST_RESOURCE_DIR;
  command.flags = {"-std=c++23", "-I" + (testing::source_dir() / "include").string()};
  Result<ModuleOutcome> outcome = run_module(command);
  if (!outcome) {
    ADD_FAILURE() << outcome.error().message;
    return {};
  }
  return {*std::move(outcome), command.output};
}

// Without the folders of this machine.
std::string without_folders(std::string text) {
  const std::string here = testdata().string() + "/";
  for (const std::string& prefix :
       {here + "accept/", here + "reject/", std::string(ALOFT_TEST_RESOURCE_DIR "/include/"),
        (testing::binary_dir() / "wasi-sysroot/include/").string()}) {
    for (std::size_t at; (at = text.find(prefix)) != std::string::npos;)
      text.erase(at, prefix.size());
  }
  return text;
}

void expect_same(const std::string& actual, const fs::path& expected) {
  if (std::getenv("ALOFT_UPDATE_EXPECTED") != nullptr) {
    std::ofstream(expected, std::ios::binary) << actual;
    return;
  }
  EXPECT_EQ(actual, read(expected));
}

std::string test_name(const ::testing::TestParamInfo<std::string>& info) { return info.param; }

class Reject : public ::testing::TestWithParam<std::string> {};

TEST_P(Reject, says_what_is_wrong_and_what_to_do) {
  const fs::path source = testdata() / "reject" / (GetParam() + ".cc");
  const Attempt result = run(source);
  EXPECT_FALSE(result.outcome.accepted);
  EXPECT_FALSE(fs::exists(result.output)) << "wrote files for sources that it refused";
  expect_same(without_folders(result.outcome.diagnostics),
              fs::path(source).replace_extension(".expected"));
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Reject, ::testing::ValuesIn(fixtures("reject")), test_name);

class Accept : public ::testing::TestWithParam<std::string> {};

// The warnings and the signatures.
TEST_P(Accept, has_these_signatures) {
  const fs::path source = testdata() / "accept" / (GetParam() + ".cc");
  const Attempt result = run(source);
  ASSERT_TRUE(result.outcome.accepted) << result.outcome.diagnostics;
  std::string actual = without_folders(result.outcome.diagnostics);
  const auto manifest = nlohmann::json::parse(read(result.output / "fixture.manifest.json"));
  for (const auto& function : manifest["functions"]) {
    actual += std::to_string(function["line"].get<int>()) + ": " +
              function["signature"].get<std::string>() + "\n";
  }
  actual += "graphs: " + manifest["graphs"].dump() + "\n";
  expect_same(actual, fs::path(source).replace_extension(".expected"));
}

// Reads the `#line` directives of the native copy as a compiler does, and looks for each token of
// the copy at the same line and column of the source, and for each of the source in the copy.
TEST_P(Accept, keeps_every_token_at_its_line_and_column) {
  const fs::path source = testdata() / "accept" / (GetParam() + ".cc");
  const Attempt result = run(source);
  ASSERT_TRUE(result.outcome.accepted) << result.outcome.diagnostics;
  const std::vector<std::string> original = lines_of(read(source));
  std::vector<std::string> missing = original;
  const std::string directive = "#line ";
  bool is_source = false;
  std::size_t number = 0;
  for (std::string line : lines_of(read(result.output / "native" / source.filename()))) {
    if (line.starts_with(directive)) {
      is_source = line.find(source.string()) != std::string::npos;
      number = std::stoul(line.substr(directive.size()));
      continue;
    }
    const std::size_t at = number++;
    const bool is_generated = line.find("aloft_0") != std::string::npos ||
                              line.starts_with("aloft_") ||
                              line.starts_with("if (::aloft::detail::dispatching())");
    if (!is_source || is_generated) continue;
    const bool is_renamed = line.ends_with("_aloft_here");
    if (is_renamed) line.resize(line.size() - std::string("_aloft_here").size());
    const bool is_declaration =
        at - 1 < original.size() && line.ends_with(";") && !original[at - 1].ends_with(line);
    if (is_declaration) line.pop_back();
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (line[i] == ' ' || line[i] == '\t') continue;
      ASSERT_LE(at, original.size()) << line;
      ASSERT_LT(i, original[at - 1].size()) << line;
      EXPECT_EQ(original[at - 1][i], line[i]) << "line " << at << ": " << line;
      missing[at - 1][i] = ' ';
    }
  }
  for (std::size_t i = 0; i < missing.size(); ++i) {
    EXPECT_EQ(missing[i].find_first_not_of(" \t"), std::string::npos)
        << "line " << i + 1 << ": " << missing[i];
  }
}

TEST_P(Accept, compiles_for_both_places) {
  const fs::path source = testdata() / "accept" / (GetParam() + ".cc");
  const Attempt result = run(source);
  ASSERT_TRUE(result.outcome.accepted) << result.outcome.diagnostics;
  const std::string include = " -I" + (testing::source_dir() / "include").string();
  const std::string warnings =
      " -std=c++23 -fsyntax-only -Wall -Wextra -Wno-unused-parameter -Werror";
  const std::string native = (result.output / "native" / source.filename()).string();
  EXPECT_EQ(std::system((ALOFT_TEST_GUEST_CXX + warnings + include + " " + native).c_str()), 0);
  EXPECT_EQ(
      std::system((ALOFT_TEST_GUEST_CXX + warnings + include + " -I" + result.output.string() +
                   " -include " + (result.output / "fixture.aloft.h").string() + " -xc++ /dev/null")
                      .c_str()),
      0);
  const std::string guest = (result.output / "guest" / source.filename()).string();
  EXPECT_EQ(std::system((ALOFT_TEST_GUEST_CXX + warnings + include + " -I" +
                         testing::source_dir().string() +
                         "/guest/cpp --target=wasm32-wasi -fno-exceptions -fno-rtti --sysroot=" +
                         testing::binary_dir().string() + "/wasi-sysroot " + guest)
                            .c_str()),
            0);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Accept, ::testing::ValuesIn(fixtures("accept")), test_name);

// --- Modules of other languages

ModuleCommand interface_command(const std::string& name, const std::string& header) {
  const fs::path folder = testing::binary_dir() / "compiler_fixtures/interface" / name;
  fs::remove_all(folder);
  fs::create_directories(folder);
  std::ofstream(folder / "api.h") << header;
  ModuleCommand command;
  command.name = name;
  command.interface = folder / "api.h";
  command.output = folder / "out";
  command.resource_dir = ALOFT_TEST_RESOURCE_DIR;
  command.flags = {"-std=c++23", "-I" + (testing::source_dir() / "include").string()};
  return command;
}

TEST(Interface, gives_the_signatures_that_the_same_functions_in_sources_have) {
  const std::string header =
      "#pragma once\n#include <cstdint>\n#include <string>\n#include <aloft/object.h>\n"
      "namespace api {\n"
      "ALOFT_OFFLOAD std::int64_t size(const std::string& text);\n"
      "ALOFT_OFFLOAD_ONCE void say(std::string text) noexcept;\n"
      "int untagged();\n"
      "class ALOFT_OFFLOAD_OBJECT Count {\n public:\n"
      "  ALOFT_OFFLOAD std::uint32_t add(std::uint32_t) ;\n"
      "  ALOFT_OFFLOAD bool empty() const;\n private:\n  std::uint32_t n_ = 0;\n"
      "  ALOFT_STATE(n_)\n};\n}\n";
  const ModuleCommand command = interface_command("api", header);
  const auto made = run_module(command);
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_TRUE(made->accepted) << made->diagnostics;

  ModuleCommand sources = command;
  sources.interface.clear();
  sources.output = command.output.parent_path() / "sources_out";
  sources.sysroot = testing::binary_dir() / "wasi-sysroot";
  sources.sources = {(command.output.parent_path() / "api.cc").string()};
  std::ofstream(sources.sources[0])
      << "#include \"api.h\"\nnamespace api {\n"
         "std::int64_t size(const std::string& text) { return (std::int64_t)text.size(); }\n"
         "void say(std::string) noexcept {}\n"
         "std::uint32_t Count::add(std::uint32_t more) { return n_ += more; }\n"
         "bool Count::empty() const { return n_ == 0; }\n}\n";
  const auto compiled = run_module(sources);
  ASSERT_TRUE(compiled) << compiled.error().message;
  ASSERT_TRUE(compiled->accepted) << compiled->diagnostics;

  auto of_interface = nlohmann::json::parse(read(command.output / "api.manifest.json"));
  auto of_sources = nlohmann::json::parse(read(sources.output / "api.manifest.json"));
  for (auto* manifest : {&of_interface, &of_sources}) {
    for (auto& function : (*manifest)["functions"]) {
      function.erase("file");
      function.erase("line");
    }
  }
  EXPECT_EQ(of_interface, of_sources);
  EXPECT_EQ(std::system((ALOFT_TEST_GUEST_CXX " -std=c++23 -fsyntax-only -Wall -Wextra -Werror "
                                              "-Wno-unused-parameter -I" +
                         (testing::source_dir() / "include").string() + " " +
                         (command.output / "native/api.interface.cc").string())
                            .c_str()),
            0);
}

TEST(Interface, says_what_is_wrong_with_it) {
  struct Wrong {
    const char* header;
    const char* says;
  };
  for (const Wrong& wrong :
       {Wrong{"int f(int x);\n", "nothing in the module's interface is tagged"},
        Wrong{"#include <aloft/offload.h>\nALOFT_OFFLOAD int f(int x) { return x; }\n",
              "'f' has a body here"},
        Wrong{"#include <aloft/offload.h>\nALOFT_OFFLOAD int f(int* x);\n", "is a raw pointer"},
        Wrong{"ALOFT_OFFLOAD int f(int x);\n", "unknown type name 'ALOFT_OFFLOAD'"}}) {
    const auto made = run_module(interface_command("wrong", wrong.header));
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_FALSE(made->accepted);
    EXPECT_NE(made->diagnostics.find(wrong.says), std::string::npos) << made->diagnostics;
  }
}

TEST(Interface, stands_in_place_of_sources_and_not_beside_them) {
  ModuleCommand both = interface_command("both", "");
  both.sources = {"a.cc"};
  EXPECT_EQ(run_module(both).error().code, Errc::invalid_argument);
  both.sources.clear();
  both.interface.clear();
  EXPECT_EQ(run_module(both).error().code, Errc::invalid_argument);
}

TEST(Module, is_refused_when_its_name_cannot_be_part_of_a_symbol) {
  ModuleCommand command;
  command.name = "no-name";
  command.sources = {"a.cc"};
  command.sysroot = "wasi-sysroot";
  const auto outcome = run_module(command);
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().message,
            "the module's name 'no-name' is not a letter followed by letters, digits and '_'");
}

TEST(Module, is_refused_when_two_sources_have_one_name) {
  ModuleCommand command;
  command.name = "twice";
  command.sources = {"a/x.cc", "b/x.cc"};
  command.sysroot = "wasi-sysroot";
  const auto outcome = run_module(command);
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().message, "two sources of the module have the name 'x.cc'");
}

}  // namespace
}  // namespace aloft::compiler
