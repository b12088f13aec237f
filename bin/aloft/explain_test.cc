// `aloft explain` as it is typed, asking this process, in which elastic functions run.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "device/testing/demo_module.h"
#include "support/process.h"
#include "support/programs.h"
#include "support/temp_dir.h"
#include <aloft/runtime.h>

namespace aloft {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::Process;
using testing::Ran;
using testing::run_aloft;
using namespace std::chrono_literals;

class ExplainTest : public ::testing::Test {
 protected:
  ExplainTest() { ::setenv("XDG_RUNTIME_DIR", folder_.path().c_str(), 1); }

  static Process start(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), testing::program("aloft"));
    return Process::start(arguments).value();
  }
  static std::unique_ptr<Runtime> runtime(std::shared_ptr<Policy> policy) {
    RuntimeOptions options;
    options.policy = std::move(policy);
    options.explain = true;
    auto made = Runtime::create(std::move(options)).value();
    bind(*made);
    return made;
  }

  const testing::TempDir folder_;
  const demo::Registered module_;
};

TEST_F(ExplainTest, a_program_that_explains_itself_is_asked_by_its_number_or_because_it_is_alone) {
  const auto explaining = runtime(every_policy(50));
  for (int i = 0; i < 60; ++i) (void)demo::add(1, 2);
  for (const auto& words : {std::vector<std::string>{"explain"},
                            std::vector<std::string>{"explain", std::to_string(::getpid())}}) {
    const Ran asked = run_aloft(words);
    EXPECT_EQ(asked.status, 0) << asked.error;
    EXPECT_THAT(
        asked.output,
        AllOf(HasSubstr("policy every:50"), HasSubstr("process " + std::to_string(::getpid())),
              HasSubstr("#49 demo::add here (every 50: calls 0..49 here)"),
              HasSubstr("#59 demo::add here (every 50: calls 50..99 at the edge, but no "
                        "edge is ready)")));
  }
  const Ran json = run_aloft({"--json", "explain", "--last", "3"});
  const auto document = nlohmann::json::parse(json.output, nullptr, false);
  ASSERT_TRUE(document.is_object()) << json.output << json.error;
  EXPECT_EQ(document["pid"], ::getpid());
  EXPECT_EQ(document["decisions"].back()["number"], 59);
}

TEST_F(ExplainTest, a_policy_that_predicts_shows_what_it_predicts) {
  const auto explaining = runtime(min_latency_policy());
  for (int i = 0; i < 3; ++i) (void)demo::add(1, 2);
  const Ran asked = run_aloft({"explain"});
  EXPECT_THAT(asked.output,
              AllOf(HasSubstr("policy min_latency"), HasSubstr("demo::add, 3 calls"),
                    HasSubstr("here   predicted"), HasSubstr("there  nothing is known"),
                    HasSubstr("min_latency: here, since no edge is ready")));
}

TEST_F(ExplainTest, new_decisions_are_followed_to_the_programs_end) {
  auto explaining = runtime(local_policy());
  (void)demo::add(1, 2);
  Process following = start({"explain", "--follow"});
  EXPECT_TRUE(following.wait_for_line("#0 demo::add here (local: always here)", 30s))
      << following.transcript();
  (void)demo::add(1, 2);
  EXPECT_TRUE(following.wait_for_line("#1 demo::add here (local: always here)", 30s))
      << following.transcript();
  explaining.reset();
  EXPECT_EQ(following.wait(30s), 0) << following.transcript();
}

TEST_F(ExplainTest, without_a_program_it_says_what_would_make_one) {
  const Ran none = run_aloft({"explain"});
  EXPECT_EQ(none.status, 3);
  EXPECT_THAT(none.error, AllOf(HasSubstr("error: "), HasSubstr("RuntimeOptions::explain")));
  EXPECT_EQ(run_aloft({"explain", "999999999"}).status, 5);
}

TEST_F(ExplainTest, a_folder_that_others_may_enter_is_not_used) {
  std::filesystem::create_directory(folder_ / "aloft");
  std::filesystem::permissions(folder_ / "aloft", std::filesystem::perms::all);
  std::string said;
  RuntimeOptions options;
  options.explain = true;
  options.log = [&](LogLevel, std::string_view line) { said += line; };
  const auto made = Runtime::create(std::move(options));
  ASSERT_TRUE(made.has_value()) << "it is no reason not to run";
  EXPECT_THAT(said, AllOf(HasSubstr("aloft explain"), HasSubstr("0700")));
  EXPECT_EQ(run_aloft({"explain"}).status, 3);
}

}  // namespace
}  // namespace aloft
