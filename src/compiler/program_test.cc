// aloft check on a small program, and on databases that are none.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "compiler/program/program_check.h"
#include "compiler/program/report.h"
#include "support/process.h"
#include "support/temp_dir.h"
#include "test_paths.h"

namespace aloft::compiler {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Json = nlohmann::json;
using testing::Process;
using testing::TempDir;

fs::path sources() { return testing::source_dir() / "src/compiler/testdata/program"; }

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void write(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// A build folder as CMake and other systems leave one: a command as one string or as a list, with
// what only that compiler knows, a source twice, and one in C.
void configure(const fs::path& folder) {
  const std::string here = sources().string();
  const std::string gcc =
      "/usr/bin/c++ -O2 -Wsomething-new -fno-canonical-system-headers -MD -MF x.d ";
  Json all = Json::array();
  for (const char* const name : {"filter.cc", "mixed.cc", "weights.cc", "broken.cc"}) {
    all.push_back(
        {{"directory", folder.string()},
         {"command", gcc + "-std=gnu++20 -I" + here + " -o " + name + ".o -c " + here + "/" + name},
         {"file", here + "/" + name}});
  }
  all.push_back(all[0]);
  all.push_back({{"directory", here},
                 {"arguments", {"c++", "-std=c++20", "-c", "widths.cc"}},
                 {"file", "widths.cc"}});
  all.push_back(
      {{"directory", here}, {"arguments", {"cc", "-c", "legacy.c"}}, {"file", "legacy.c"}});
  write(folder / "compile_commands.json", all.dump(2));
}

Result<ProgramReport> check(const fs::path& build, unsigned jobs = 0) {
  return check_program({.build_folder = build,
                        .root = {},
                        .sysroot = testing::binary_dir() / "wasi-sysroot",
                        .resource_dir = ALOFT_TEST_RESOURCE_DIR,
                        .jobs = jobs,
                        .progress = {}});
}

// What OASIS' schema has against `log`; empty: nothing.
std::string schema_errors(const fs::path& log) {
  const fs::path dependencies = testing::source_dir() / "build/deps";
  const std::string program =
      "import json, sys, jsonschema\n"
      "schema, log = (json.load(open(name)) for name in sys.argv[1:])\n"
      "for error in jsonschema.Draft4Validator(schema).iter_errors(log):\n"
      "  print(error.json_path, error.message)\n"
      "print('validated')\n";
  auto python =
      Process::start({"python3", "-c", program,
                      (dependencies / "sarif-schema/sarif-2.1.0.json").string(), log.string()},
                     {.environment = {{"PYTHONPATH", (dependencies / "validators").string()}}});
  if (!python) return python.error().message;
  if (python->wait(60s) != 0) return python->transcript();
  std::string said = python->standard_output();
  const auto end = said.rfind("validated");
  return end == std::string::npos ? python->transcript() : said.substr(0, end);
}

class Program : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const TempDir build;
    configure(build.path());
    Result<ProgramReport> made = check(build.path());
    ASSERT_TRUE(made) << made.error().message;
    report_ = new ProgramReport(*std::move(made));
  }
  static void TearDownTestSuite() {
    delete report_;
    report_ = nullptr;
  }
  static const CheckedFunction& function(const std::string& name) {
    const auto found = std::ranges::find(report_->functions, name, &CheckedFunction::name);
    if (found == report_->functions.end()) throw std::out_of_range(name);
    return *found;
  }
  static inline ProgramReport* report_ = nullptr;
};

TEST_F(Program, is_told_of_in_these_words) {
  std::string text = to_text(*report_);
  for (const std::string& folder : {sources().string(), std::string("/usr/include/")}) {
    for (std::size_t at; (at = text.find(folder)) != std::string::npos;)
      text.replace(at, folder.size(), "");
  }
  const fs::path expected = sources() / "report.expected";
  if (std::getenv("ALOFT_UPDATE_EXPECTED") != nullptr) write(expected, text);
  EXPECT_EQ(text, read(expected));
}

TEST_F(Program, has_functions_that_only_need_a_tag_and_they_name_the_sources_of_their_module) {
  const CheckedFunction& blur = function("demo::blur");
  EXPECT_EQ(blur.verdict, Verdict::ready);
  EXPECT_EQ(blur.signature, "demo::blur(list<i32>)->list<i32>");
  EXPECT_EQ(blur.sources, (std::vector<std::string>{(sources() / "filter.cc").string(),
                                                    (sources() / "weights.cc").string()}));
  EXPECT_EQ(function("demo::bits").verdict, Verdict::ready);
}

TEST_F(Program, has_a_function_whose_neighbours_keep_it_from_being_built_for_a_guest) {
  const CheckedFunction& hash = function("demo::hash");
  EXPECT_EQ(hash.verdict, Verdict::file_of_its_own);
  ASSERT_EQ(hash.reasons.size(), 1U);
  EXPECT_EQ(hash.reasons[0].rule, Rule::guest_file);
}

TEST_F(Program, has_reasons_found_in_what_a_function_calls) {
  const CheckedFunction& through = function("demo::through");
  EXPECT_EQ(through.verdict, Verdict::no);
  ASSERT_EQ(through.reasons.size(), 1U);
  EXPECT_EQ(through.reasons[0].rule, Rule::exceptions);
  EXPECT_EQ(through.reasons[0].where.line, function("demo::checked").where.line + 1);
  const auto rule_of = [&](const char* name) { return function(name).reasons.at(0).rule; };
  EXPECT_EQ(rule_of("demo::of_a_library"), Rule::library);
  EXPECT_EQ(rule_of("demo::of_c"), Rule::undefined);
  EXPECT_EQ(rule_of("demo::add"), Rule::widths);
  EXPECT_EQ(rule_of("demo::scale"), Rule::result);
}

TEST_F(Program, is_told_of_as_json_with_the_same_figures) {
  const Json json = Json::parse(to_json(*report_));
  EXPECT_EQ(json["functions"].size(), report_->functions.size());
  EXPECT_EQ(json["sources"], 5);
  EXPECT_EQ(json["not_cpp"], Json::array({"legacy.c"}));
  EXPECT_EQ(json["unread"].size(), 1U);
  const Json& summary = json["summary"];
  EXPECT_EQ(summary["ready"].get<std::size_t>() + summary["file_of_its_own"].get<std::size_t>() +
                summary["no"].get<std::size_t>(),
            report_->functions.size());
  for (const Json& each : json["functions"]) {
    EXPECT_FALSE(each["file"].get<std::string>().starts_with("/")) << each;
    for (const Json& reason : each["reasons"])
      EXPECT_TRUE(reason["severity"] == "warning" || reason["remedy"] != "") << reason;
  }
}

TEST_F(Program, is_told_of_as_sarif_that_the_published_schema_allows) {
  const TempDir folder;
  const std::string text = to_sarif(*report_, "1.2.3");
  write(folder.path() / "good.sarif", text);
  EXPECT_EQ(schema_errors(folder.path() / "good.sarif"), "");
  Json changed = Json::parse(text);
  EXPECT_NE(changed["runs"][0]["invocations"].dump().find("legacy.c"), std::string::npos);
  ASSERT_GT(changed["runs"][0]["results"].size(), 10U);
  changed["runs"][0]["results"][0]["level"] = "grave";
  write(folder.path() / "bad.sarif", changed.dump());
  EXPECT_NE(schema_errors(folder.path() / "bad.sarif").find("grave"), std::string::npos);
}

// Sources that share a header, each of which sees it in a way of its own: its function is told of
// as the first source sees it, the only one that nothing is against.
TEST(ProgramCheck, says_the_same_however_many_sources_are_read_at_once) {
  constexpr int kSources = 40;
  const TempDir folder;
  write(folder.path() / "shared.h", R"(#pragma once
inline int shared(int number) {
#if COUNTS
  static int calls = 0;
  calls += COUNTS;
#endif
  return number + 1;
}
)");
  Json all = Json::array();
  for (int i = 0; i < kSources; ++i) {
    const std::string name = "source" + std::to_string(i);
    write(folder.path() / (name + ".cc"),
          "#include \"shared.h\"\nint " + name + "(int n) { return shared(n); }\n");
    all.push_back(
        {{"directory", folder.path().string()},
         {"arguments", {"c++", "-std=c++20", "-DCOUNTS=" + std::to_string(i), "-c", name + ".cc"}},
         {"file", name + ".cc"}});
  }
  write(folder.path() / "compile_commands.json", all.dump());
  const auto one = check(folder.path(), 1);
  ASSERT_TRUE(one) << one.error().message;
  const std::string text = to_text(*one);
  EXPECT_EQ(std::ranges::count(one->functions, Verdict::ready, &CheckedFunction::verdict), kSources)
      << text;
  for (int round = 0; round < 5; ++round) {
    const auto many = check(folder.path(), 16);
    ASSERT_TRUE(many) << many.error().message;
    EXPECT_EQ(to_text(*many), text);
    EXPECT_EQ(to_json(*many), to_json(*one));
  }
}

TEST(ProgramCheck, says_what_is_wrong_with_a_folder_that_has_no_list_of_commands) {
  const TempDir folder;
  const auto none = check(folder.path());
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::not_found);
  EXPECT_NE(none.error().message.find("CMAKE_EXPORT_COMPILE_COMMANDS"), std::string::npos);
  write(folder.path() / "compile_commands.json", "{not json");
  const auto bad = check(folder.path());
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, Errc::invalid_argument);
  write(folder.path() / "compile_commands.json",
        R"([{"directory": "/", "arguments": ["cc", "-c", "a.c"], "file": "a.c"}])");
  const auto c_alone = check(folder.path());
  ASSERT_FALSE(c_alone);
  EXPECT_NE(c_alone.error().message.find("only /a.c and the like"), std::string::npos);
  write(folder.path() / "compile_commands.json", "[]");
  const auto empty = check(folder.path());
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().code, Errc::invalid_argument);
}

TEST(ProgramCheck, is_a_command_that_fails_with_words_and_writes_where_it_is_told) {
  const TempDir build;
  const std::string program = (testing::binary_dir() / "bin/aloft-cc").string();
  auto failing = Process::start({program, "check", "-p", (build.path() / "none").string()});
  ASSERT_TRUE(failing) << failing.error().message;
  EXPECT_EQ(failing->wait(30s), 1) << failing->transcript();
  EXPECT_TRUE(failing->standard_error().starts_with("error: ")) << failing->transcript();
  configure(build.path());
  const std::string output = (build.path() / "report.json").string();
  auto good =
      Process::start({program, "check", "-p", build.path().string(), "--json", "-o", output});
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(good->wait(60s), 0) << good->transcript();
  EXPECT_EQ(Json::parse(read(output))["sources"], 5);
}

}  // namespace
}  // namespace aloft::compiler
