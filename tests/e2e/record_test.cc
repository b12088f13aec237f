// `aloft record`: an edge that runs keeps calls for as long as somebody wants them. Real processes:
// an aloft-exec, `aloft record` beside it, and UEs whose session goes on all the while.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inference/testing/onnx_writer.h"
#include "runtime/recorded_call.h"
#include "support/edge_fixture.h"
#include "support/process.h"
#include "support/process_tree.h"
#include "support/temp_dir.h"
#include "test_paths.h"

namespace aloft::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::HasSubstr;

constexpr auto kSoon = 60s;

std::vector<std::string> aloft(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), (binary_dir() / "bin/aloft").string());
  return arguments;
}

class Record : public EdgeFixture {
 protected:
  Record() {
    // Other edges of this user, of tests that run at the same time, are in another folder.
    ::setenv("XDG_RUNTIME_DIR", user_.path().c_str(), 1);
  }
  ~Record() override { ::unsetenv("XDG_RUNTIME_DIR"); }

  [[nodiscard]] fs::path folder() const { return kept_.path() / "calls"; }
  [[nodiscard]] std::vector<fs::path> files() const {
    std::vector<fs::path> all;
    if (!fs::exists(folder())) return all;
    for (const auto& each : fs::directory_iterator(folder())) all.push_back(each);
    std::ranges::sort(all);
    return all;
  }
  // Recording, of the only edge unless `arguments` name one.
  std::optional<Process> record(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"record", "--out", folder().string()});
    auto process = Process::start(aloft(std::move(arguments)));
    if (!process) {
      ADD_FAILURE() << process.error().message;
      return std::nullopt;
    }
    if (!process->wait_for_error("are kept in", kSoon)) {
      ADD_FAILURE() << process->transcript();
      return std::nullopt;
    }
    return *std::move(process);
  }
  // The text that it ends with, after Ctrl-C.
  static std::string interrupt(Process& recorder) {
    recorder.signal(SIGINT);
    return ended(recorder);
  }
  static std::string ended(Process& recorder) {
    EXPECT_EQ(recorder.wait(kSoon), 0) << recorder.transcript();
    return recorder.standard_output();
  }
  // What is said of a command that cannot be.
  std::string refusal(std::vector<std::string> arguments, int status) {
    auto process = Process::start(aloft(std::move(arguments)));
    if (!process) return process.error().message;
    EXPECT_EQ(process->wait(kSoon), status) << process->transcript();
    EXPECT_THAT(process->standard_error(), HasSubstr("error: "));
    return process->standard_error();
  }
  void open(RawUe& ue) {
    ASSERT_TRUE(ue.wait_up(kSoon)) << edge_->process().transcript();
    const auto module = ue.open(hostile_, {});
    ASSERT_TRUE(module) << module.error().message;
    module_ = *module;
  }
  void answer(RawUe& ue, int times) {
    for (int i = 0; i < times; ++i)
      EXPECT_EQ(ue.call(module_, "hostile::answer", arguments(i)).get<int>(), i + 1);
  }

  TempDir user_;
  TempDir kept_;
  const ModuleFile hostile_{binary_dir() / "modules/hostile.wasm"};
  RawUe::Module module_;
};

TEST_F(Record, keeps_the_calls_of_a_running_edge_until_ctrl_c_and_no_other) {
  RawUe ue(address());
  ASSERT_NO_FATAL_FAILURE(open(ue));
  answer(ue, 2);
  EXPECT_TRUE(files().empty()) << "nothing is kept that nobody asked for";

  auto recorder = record({});
  ASSERT_TRUE(recorder);
  answer(ue, 3);
  EXPECT_EQ(ue.call(module_, "hostile::divide", arguments(1, 0)).error(), Errc::trapped);
  EXPECT_EQ(files().size(), 4U) << "each is there before its caller hears of it";
  EXPECT_EQ(fs::status(folder()).permissions(), fs::perms::owner_all);
  const std::string said = interrupt(*recorder);
  EXPECT_THAT(said, HasSubstr("4 calls recorded; 4 are in " + folder().string()));

  answer(ue, 2);
  EXPECT_EQ(files().size(), 4U) << "Ctrl-C is the end of it";
  EXPECT_FALSE(ue.wait_down(0ms)) << "all in one session: the edge was not started anew";

  // It says how one goes on.
  const std::size_t at = said.find("aloft replay ");
  ASSERT_NE(at, std::string::npos) << said;
  const std::string command =
      (binary_dir() / "bin").string() + "/" + said.substr(at, said.find('\n', at) - at);
  auto replay = Process::start({"sh", "-c", command});
  ASSERT_TRUE(replay) << replay.error().message;
  EXPECT_EQ(replay->wait(kSoon), 0) << replay->transcript();
  EXPECT_THAT(replay->standard_output(), HasSubstr("integer divide by zero"));

  // Once more, in the same folder.
  recorder = record({});
  ASSERT_TRUE(recorder);
  answer(ue, 1);
  EXPECT_THAT(interrupt(*recorder), HasSubstr("1 call recorded; 5 are in "));
  EXPECT_EQ(files().back().filename(), "00000005.aloftcall");
}

TEST_F(Record, keeps_what_is_asked_for_within_its_bounds_and_for_its_time) {
  RawUe ue(address());
  ASSERT_NO_FATAL_FAILURE(open(ue));
  auto recorder = record({"--calls", "3", "--function", "hostile::answer", "--json"});
  ASSERT_TRUE(recorder);
  answer(ue, 5);
  EXPECT_EQ(ue.call(module_, "hostile::divide", arguments(6, 3)).get<int>(), 2);
  const json told = json::parse(interrupt(*recorder));
  EXPECT_EQ(told["recorded"], 5);
  EXPECT_EQ(told["calls"], 3);
  EXPECT_EQ(told["pid"], edge_->process().pid());
  EXPECT_EQ(told["last"], (folder() / "00000005.aloftcall").string());
  ASSERT_EQ(files().size(), 3U);
  const auto call = runtime::read_recorded_call(files().back());
  ASSERT_TRUE(call) << call.error().message;
  EXPECT_EQ(call->function, "hostile::answer");

  recorder = record({"--failed", "--seconds", "2"});
  ASSERT_TRUE(recorder);
  answer(ue, 1);
  EXPECT_EQ(ue.call(module_, "hostile::divide", arguments(1, 0)).error(), Errc::trapped);
  EXPECT_THAT(ended(*recorder), HasSubstr("1 call recorded; 4 are in "));
}

TEST_F(Record, ends_with_who_asked_for_it_however_that_ends) {
  RawUe ue(address());
  ASSERT_NO_FATAL_FAILURE(open(ue));
  auto recorder = record({});
  ASSERT_TRUE(recorder);
  answer(ue, 1);
  recorder->kill();
  ASSERT_TRUE(edge_->process().wait_for_error("recorded no more: 1", kSoon))
      << edge_->process().transcript();
  answer(ue, 1);
  EXPECT_EQ(files().size(), 1U);
  // And the next one may.
  recorder = record({});
  ASSERT_TRUE(recorder);
  EXPECT_THAT(interrupt(*recorder), HasSubstr("0 calls recorded; 1 is in "));
}

TEST_F(Record, goes_on_with_the_worker_that_takes_over_from_one_that_crashed) {
  RawUe ue(address());
  ASSERT_NO_FATAL_FAILURE(open(ue));
  // A worker's number is as good as its edge's.
  const auto workers = children_of(edge_->process().pid());
  ASSERT_FALSE(workers.empty());
  auto recorder = record({std::to_string(workers.front())});
  ASSERT_TRUE(recorder);
  answer(ue, 2);
  ::kill(workers.front(), SIGKILL);
  ASSERT_TRUE(ue.wait_down(kSoon));
  ASSERT_TRUE(recorder->wait_for_error("another worker", kSoon)) << recorder->transcript();
  RawUe again(address());
  ASSERT_NO_FATAL_FAILURE(open(again));
  answer(again, 1);
  EXPECT_THAT(interrupt(*recorder), HasSubstr("3 are in "));
  EXPECT_EQ(files().back().filename(), "00000003.aloftcall");
}

// An inference that ignores its end: the worker gives way, and tells what it has recorded before.
TEST_F(Record, goes_on_with_the_worker_that_one_gives_way_to) {
  RawUe ue(address());
  ASSERT_NO_FATAL_FAILURE(open(ue));
  auto recorder = record({});
  ASSERT_TRUE(recorder);
  answer(ue, 2);
  const auto stubborn = ue.open(infer_, {{"model", inference::testing::stubborn_model()}});
  ASSERT_TRUE(stubborn) << stubborn.error().message;
  EXPECT_EQ(ue.call(*stubborn, "infer::run", arguments(1.0F), {.deadline = 300ms, .limit = kSoon})
                .error(),
            Errc::deadline_exceeded);
  ASSERT_TRUE(recorder->wait_for_error("another worker", kSoon)) << recorder->transcript();
  RawUe again(address());
  ASSERT_NO_FATAL_FAILURE(open(again));
  answer(again, 1);
  EXPECT_THAT(interrupt(*recorder), HasSubstr("3 calls recorded; 3 are in "));
}

TEST_F(Record, says_what_was_recorded_when_the_edge_ends) {
  RawUe ue(address());
  ASSERT_NO_FATAL_FAILURE(open(ue));
  auto recorder = record({});
  ASSERT_TRUE(recorder);
  answer(ue, 2);
  edge_->process().signal(SIGTERM);
  EXPECT_THAT(ended(*recorder), HasSubstr("2 calls recorded; 2 are in "));
  EXPECT_THAT(recorder->standard_error(), HasSubstr("the edge has ended"));
  EXPECT_EQ(edge_->process().wait(kSoon), 0) << edge_->process().transcript();
  EXPECT_TRUE(fs::is_empty(user_.path() / "aloft")) << "its socket is gone";
}

// As after a machine that failed: sockets of edges that are no more.
TEST_F(Record, finds_no_edge_that_was_killed_and_the_next_one_takes_its_socket_away) {
  const std::string left = std::to_string(edge_->process().pid()) + ".record";
  edge_->process().kill();
  ASSERT_EQ(edge_->process().wait(kSoon), 128 + SIGKILL);
  EXPECT_TRUE(fs::exists(user_.path() / "aloft" / left));
  EXPECT_THAT(refusal({"record", "--out", folder().string()}, 3),
              HasSubstr("no edge of this user runs here"));
  start({});
  EXPECT_FALSE(fs::exists(user_.path() / "aloft" / left));
  auto recorder = record({});
  ASSERT_TRUE(recorder);
  EXPECT_THAT(interrupt(*recorder), HasSubstr("0 calls recorded"));
}

TEST_F(Record, says_why_it_cannot) {
  const std::string out = folder().string();
  const auto recorder = record({});
  ASSERT_TRUE(recorder);
  EXPECT_THAT(refusal({"record", "--out", kept_.path() / "other"}, 4),
              HasSubstr("recorded already, in " + out));
  EXPECT_THAT(refusal({"record", "1", "--out", out}, 3),
              HasSubstr("1 is no edge of this user; these run: " +
                        std::to_string(edge_->process().pid()) + " (" + edge_->address() + ")"));
  EXPECT_THAT(refusal({"record"}, 2), HasSubstr("--out"));
  EXPECT_THAT(refusal({"record", "--out", out, "--calls", "0"}, 2), HasSubstr("--calls"));
  {
    auto second = DemoEdge::start(cache_.path());
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_THAT(refusal({"record", "--out", out}, 2),
                ::testing::AllOf(HasSubstr("which edge? These run:"),
                                 HasSubstr("(" + second->address() + ")")));
    // One that keeps calls from its start keeps those.
    start({"--record", (kept_.path() / "always").string()});
    EXPECT_THAT(refusal({"record", std::to_string(edge_->process().pid()), "--out", out}, 4),
                HasSubstr("recorded already, in " + (kept_.path() / "always").string()));
  }
  start({});
  // A folder that others use stays as it is.
  const fs::path shared = kept_.path() / "shared";
  ASSERT_EQ(::mkdir(shared.c_str(), 0755), 0);
  EXPECT_THAT(refusal({"record", "--out", shared.string()}, 4), HasSubstr("chmod 700"));
  EXPECT_NE(fs::status(shared).permissions(), fs::perms::owner_all);
  edge_.reset();
  EXPECT_THAT(refusal({"record", "--out", out}, 3), HasSubstr("no edge of this user runs here"));
}

}  // namespace
}  // namespace aloft::testing
