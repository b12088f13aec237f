// What a newcomer types, in a project outside of this repository that finds aloft as it is
// installed: `aloft new`, `aloft dev`, a change, a mistake, other types.

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/eventually.h"
#include "support/process.h"
#include "support/programs.h"
#include "support/temp_dir.h"
#include "test_paths.h"

namespace aloft {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using testing::Process;
using testing::program;
using testing::TempDir;

// Compilers on a busy machine.
constexpr auto kLimit = 240s;

std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// As an editor saves.
void save(const fs::path& file, const std::string& text) {
  const fs::path beside = file.string() + "~";
  std::ofstream(beside, std::ios::binary) << text;
  fs::rename(beside, file);
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
    text.replace(at, what.size(), by);
    ++count;
  }
  EXPECT_GT(count, 0U) << what;
  return text;
}

// The status of a command that ends by itself.
int status_of(std::vector<std::string> command, testing::ProcessOptions options = {}) {
  auto process = Process::start(std::move(command), std::move(options));
  if (!process) {
    ADD_FAILURE() << process.error().message;
    return -1;
  }
  const std::optional<int> status = process->wait(kLimit);
  if (status != 0) std::fprintf(stderr, "%s\n", process->transcript().c_str());
  return status.value_or(-1);
}

void install(const fs::path& prefix) {
  for (const char* const component : {"device", "cluster", "dev"}) {
    ASSERT_EQ(status_of({"cmake", "--install", testing::binary_dir().string(), "--prefix",
                         prefix.string(), "--component", component}),
              0);
  }
}

TEST(NewProject, runs_at_the_edge_and_takes_each_change_while_it_runs) {
  const TempDir work;
  const fs::path prefix = work.path() / "installed";
  install(prefix);
  ASSERT_EQ(status_of({program("aloft"), "new", "primes"}, {.working_directory = work.path()}), 0);
  const fs::path project = work.path() / "primes";
  const testing::ProcessOptions there = {.environment = {{"CMAKE_PREFIX_PATH", prefix.string()}},
                                         .working_directory = project};

  auto dev = Process::start({program("aloft"), "dev", "./build/primes_app"}, there);
  ASSERT_TRUE(dev) << dev.error().message;
  ASSERT_TRUE(dev->wait_for_line("primes_below(1000000) = 78498, at the edge", kLimit))
      << dev->transcript();
  EXPECT_EQ(status_of({"ctest", "--test-dir", "build"}, there), 0);

  // What it calls, for `aloft replay`: the edge that aloft dev has started keeps it.
  auto recorder = Process::start(
      {program("aloft"), "record", std::to_string(dev->pid()), "--out", "calls"}, there);
  ASSERT_TRUE(recorder) << recorder.error().message;
  ASSERT_TRUE(recorder->wait_for_error("are kept in calls", kLimit)) << recorder->transcript();
  const fs::path first = project / "calls/00000001.aloftcall";
  EXPECT_TRUE(testing::eventually(kLimit, [&] { return fs::exists(first); }));
  recorder->signal(SIGINT);
  EXPECT_EQ(recorder->wait(kLimit), 0) << recorder->transcript();

  // A change of what the function computes.
  const std::string source = read(project / "primes.cc");
  const auto saved = Clock::now();
  save(project / "primes.cc", replaced(source, "return count;", "return count + 1000;"));
  ASSERT_TRUE(dev->wait_for_line("primes_below(1000000) = 79498, at the edge", kLimit))
      << dev->transcript();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - saved);
  std::printf("from saving to the first result of the edge: %lld ms\n",
              static_cast<long long>(took.count()));

  // A mistake: the version before serves.
  save(project / "primes.cc", replaced(source, "return count;", "return count + missing;"));
  ASSERT_TRUE(dev->wait_for_error("the version before goes on serving", kLimit))
      << dev->transcript();
  EXPECT_NE(dev->standard_error().find("primes.cc:"), std::string::npos) << dev->transcript();
  // One more line than there are now is one that was written after the mistake.
  const std::string served = "primes_below(1000000) = 79498, at the edge";
  const std::string so_far = dev->standard_output();
  for (std::size_t at = 0; (at = so_far.find(served, at)) != std::string::npos; ++at)
    ASSERT_TRUE(dev->wait_for_line(served, kLimit)) << dev->transcript();

  // Other types: the program is built and started anew.
  const auto wider = [](const std::string& text) {
    return replaced(text, "std::uint32_t primes_below", "std::uint64_t primes_below");
  };
  save(project / "primes.h", wider(read(project / "primes.h")));
  save(project / "main.cc",
       replaced(read(project / "main.cc"), "const std::uint32_t count", "const auto count"));
  save(project / "main.cc", replaced(read(project / "main.cc"), "= %u, %s\\n\", count",
                                     "= %u, wide, %s\\n\", static_cast<unsigned>(count)"));
  save(project / "primes_test.cc",
       replaced(read(project / "primes_test.cc"),
                "const std::uint32_t count = primes::primes_below(100)",
                "const unsigned count = static_cast<unsigned>(primes::primes_below(100))"));
  save(project / "primes.cc", wider(source));
  ASSERT_TRUE(dev->wait_for_line("primes_below(1000000) = 78498, wide, at the edge", kLimit))
      << dev->transcript();

  dev->signal(SIGINT);
  EXPECT_EQ(dev->wait(60s), 0) << dev->transcript();
}

// The languages of guests that a compiler is there for, and the folder that has it.
struct Language {
  std::string name;
  std::string source;
  std::string compilers;            // a folder of build/deps
  bool has_home = true;             // else calls run at edges only
  std::string begin = "count = 0";  // where counting begins
  std::string other_begin = "count = 1000";
};

void PrintTo(const Language& language, std::ostream* out) { *out << language.name; }

class NewProjectIn : public ::testing::TestWithParam<Language> {};

TEST_P(NewProjectIn, runs_at_the_edge_and_here_and_takes_a_change) {
  const Language& language = GetParam();
  const fs::path compilers = testing::source_dir() / "build/deps" / language.compilers / "bin";
  if (!language.compilers.empty() && !fs::exists(compilers))
    GTEST_SKIP() << "there is no compiler: " << compilers;
  const TempDir work;
  const fs::path prefix = work.path() / "installed";
  install(prefix);
  ASSERT_EQ(status_of({program("aloft"), "new", "primes", "--language", language.name},
                      {.working_directory = work.path()}),
            0);
  const fs::path project = work.path() / "primes";
  const std::string path = compilers.string() + ":" + std::getenv("PATH");
  const testing::ProcessOptions there = {
      .environment = {{"CMAKE_PREFIX_PATH", prefix.string()}, {"PATH", path}},
      .working_directory = project};

  auto dev = Process::start({program("aloft"), "dev", "./build/primes_app"}, there);
  ASSERT_TRUE(dev) << dev.error().message;
  ASSERT_TRUE(dev->wait_for_line("primes_below(1000000) = 78498, at the edge", kLimit))
      << dev->transcript();
  EXPECT_EQ(status_of({"ctest", "--test-dir", "build"}, there), 0);

  const fs::path source = project / language.source;
  save(source, replaced(read(source), language.begin, language.other_begin));
  ASSERT_TRUE(dev->wait_for_line("primes_below(1000000) = 79498, at the edge", kLimit))
      << dev->transcript();
  dev->signal(SIGINT);
  EXPECT_EQ(dev->wait(60s), 0) << dev->transcript();

  if (!language.has_home) return;
  // The program as it was built first, without an edge.
  auto alone = Process::start({"./build/primes_app"}, there);
  ASSERT_TRUE(alone) << alone.error().message;
  EXPECT_TRUE(alone->wait_for_line("primes_below(1000000) = 78498, here", 60s))
      << alone->transcript();
}

INSTANTIATE_TEST_SUITE_P(
    , NewProjectIn,
    ::testing::Values(Language{.name = "c", .source = "primes.c", .compilers = ""},
                      Language{.name = "rust", .source = "primes.rs", .compilers = "rust"},
                      Language{.name = "go",
                               .source = "primes.go",
                               .compilers = "go",
                               .has_home = false,
                               .begin = "uint64(0)",
                               .other_begin = "uint64(1000)"},
                      Language{.name = "assemblyscript",
                               .source = "primes.ts",
                               .compilers = "assemblyscript",
                               .begin = "count: u32 = 0",
                               .other_begin = "count: u32 = 1000"}),
    [](const auto& language) { return language.param.name; });

TEST(NewProject, is_not_made_where_it_cannot_be_and_says_why) {
  const TempDir work;
  const auto error_of = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), program("aloft"));
    auto process = Process::start(std::move(arguments), {.working_directory = work.path()});
    if (!process) return process.error().message;
    EXPECT_EQ(process->wait(60s), 2) << process->transcript();
    return process->standard_error();
  };
  EXPECT_TRUE(error_of({"new", "No-Name"}).starts_with("error: the name 'No-Name'"));
  EXPECT_TRUE(error_of({"new", "int"}).starts_with("error: 'int' is a word"));
  EXPECT_NE(error_of({"new", "mine", "--language", "cobol"}).find("assemblyscript"),
            std::string::npos);
  fs::create_directory(work.path() / "mine");
  std::ofstream(work.path() / "mine" / "thesis.txt") << "all of it";
  EXPECT_NE(error_of({"new", "mine"}).find("not empty"), std::string::npos);
  EXPECT_EQ(read(work.path() / "mine" / "thesis.txt"), "all of it");
}

TEST(NewProject, is_needed_by_aloft_dev_which_says_so) {
  const TempDir work;
  auto process =
      Process::start({program("aloft"), "dev", "./app"}, {.working_directory = work.path()});
  ASSERT_TRUE(process) << process.error().message;
  EXPECT_EQ(process->wait(60s), 3) << process->transcript();
  EXPECT_NE(process->standard_error().find("aloft new NAME"), std::string::npos);
}

TEST(Check, is_a_command_of_aloft_that_leaves_the_work_to_the_compiler) {
  const TempDir work;
  auto process = Process::start({program("aloft"), "check", "-p", work.path().string()},
                                {.working_directory = work.path()});
  ASSERT_TRUE(process) << process.error().message;
  EXPECT_EQ(process->wait(60s), 1) << process->transcript();
  EXPECT_TRUE(process->standard_error().starts_with("error: ")) << process->transcript();
  EXPECT_NE(process->standard_error().find("CMAKE_EXPORT_COMPILE_COMMANDS"), std::string::npos);
}

}  // namespace
}  // namespace aloft
