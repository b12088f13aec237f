// Calls that an edge keeps, and `aloft replay`, which runs them again. The edge is an Execution
// Handler in this process, over TCP, with real guests.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "host/call_recorder.h"
#include "host/execution_handler.h"
#include "host/process/listening_socket.h"
#include "runtime/recorded_call.h"
#include "support/process.h"
#include "support/raw_ue.h"
#include "support/temp_dir.h"
#include "tally.h"
#include "test_paths.h"
#include <aloft/object.h>
#include <aloft/runtime.h>

namespace aloft::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using host::RecorderOptions;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr auto kSoon = 60s;

class Recording : public ::testing::Test {
 protected:
  void start(RecorderOptions record) {
    record.folder = kept_.path() / "calls";
    host::ExecutionHandlerOptions options;
    options.repository = modules();
    options.cache = cache_.path();
    options.session.instance.memory_bytes = 64U << 20U;
    options.record = std::move(record);
    auto made =
        host::ExecutionHandler::create(std::move(options), {.hand_over = [] {}, .end = [] {}});
    ASSERT_TRUE(made) << made.error().message;
    handler_ = *std::move(made);
    auto socket = host::ListeningSocket::open({"127.0.0.1", 0});
    ASSERT_TRUE(socket) << socket.error().message;
    address_ = socket->address();
    ASSERT_TRUE(handler_->serve(socket->duplicate()));
  }
  static fs::path modules() { return binary_dir() / "modules"; }
  [[nodiscard]] std::vector<fs::path> files() const {
    std::vector<fs::path> all;
    for (const auto& each : fs::directory_iterator(kept_.path() / "calls")) all.push_back(each);
    std::ranges::sort(all);
    return all;
  }
  // `aloft replay` with the modules here, or with what `arguments` say.
  static std::string replay(const fs::path& file, int status,
                            std::vector<std::string> arguments = {}) {
    if (arguments.empty()) arguments = {"--repository", modules().string()};
    arguments.insert(arguments.begin(),
                     {(binary_dir() / "bin/aloft").string(), "replay", file.string()});
    auto process = Process::start(std::move(arguments));
    if (!process) return process.error().message;
    EXPECT_EQ(process->wait(kSoon), status) << process->transcript();
    return process->standard_output() + process->standard_error();
  }

  TempDir cache_;
  TempDir kept_;
  net::Address address_;
  std::unique_ptr<host::ExecutionHandler> handler_;
  const ModuleFile hostile_{modules() / "hostile.wasm"};
};

TEST_F(Recording, a_trap_is_kept_before_its_caller_hears_of_it_and_comes_again_at_the_same_line) {
  start({});
  RawUe ue(address_);
  ASSERT_TRUE(ue.wait_up(kSoon));
  const auto module = ue.open(hostile_, {});
  ASSERT_TRUE(module) << module.error().message;
  EXPECT_EQ(ue.call(*module, "hostile::answer", arguments(41)).get<int>(), 42);
  EXPECT_EQ(ue.call(*module, "hostile::divide", arguments(1, 0)).error(), Errc::trapped);
  const std::vector<fs::path> kept = files();
  ASSERT_EQ(kept.size(), 2U);

  EXPECT_THAT(replay(kept[0], 0), HasSubstr("the same"));
  const std::string trapped = replay(kept[1], 0);
  EXPECT_THAT(trapped, HasSubstr("hostile::divide of the module hostile"));
  EXPECT_THAT(trapped, HasSubstr("integer divide by zero"));
  EXPECT_THAT(trapped, HasSubstr("hostile.cc:"));

  // The native code of the same function, in a process of its own.
  const std::string native = (binary_dir() / "replay/hostile_replay").string();
  EXPECT_THAT(replay(kept[0], 0, {"--native", native}), HasSubstr("(natively)"));
  EXPECT_THAT(replay(kept[1], 0, {"--native", native}), HasSubstr("ended with signal 8"));

  // The comparison is one: a result that was another is told.
  auto changed = runtime::read_recorded_call(kept[0]);
  ASSERT_TRUE(changed) << changed.error().message;
  ASSERT_FALSE(changed->result.empty());
  changed->result.back() ^= std::byte{1};
  ASSERT_TRUE(runtime::write_recorded_call(kept_.path() / "changed", *changed));
  EXPECT_THAT(replay(kept_.path() / "changed", 1), HasSubstr("different, from byte"));
  const auto json = nlohmann::json::parse(
      replay(kept[1], 0, {"--wasm", "--repository", modules().string(), "--json"}));
  EXPECT_EQ(json["same"], true);
  EXPECT_EQ(json["now"]["error"], "trapped");
}

TEST_F(Recording, a_method_is_run_again_on_the_state_that_it_had) {
  start({});
  {
    RuntimeOptions options;
    options.edges = {address_.to_string()};
    options.policy = remote_policy();
    options.call_timeout = kSoon;
    options.log_level = LogLevel::warning;
    auto runtime = Runtime::create(std::move(options));
    ASSERT_TRUE(runtime) << runtime.error().message;
    ASSERT_TRUE((*runtime)->wait_for_edge(kSoon));
    bind(**runtime);
    tally::Tally tally;
    ASSERT_TRUE(move_to(tally, Location::edge(0)));
    for (const std::uint64_t amount : {5U, 7U, 11U}) (void)tally.add(amount);
    EXPECT_EQ(tally.add(1).sum, 24U);
  }
  const std::vector<fs::path> kept = files();
  ASSERT_EQ(kept.size(), 4U);
  for (const fs::path& file : kept) {
    const auto call = runtime::read_recorded_call(file);
    ASSERT_TRUE(call) << call.error().message;
    EXPECT_TRUE(call->object);
    EXPECT_FALSE(call->state.empty());
    EXPECT_THAT(replay(file, 0), HasSubstr("the same"));
    // Natively as well: the program makes an object of that state.
    EXPECT_THAT(replay(file, 0, {"--native", (binary_dir() / "replay/tally_replay").string()}),
                AllOf(HasSubstr("(natively)"), HasSubstr("the same")));
  }
  auto other = runtime::read_recorded_call(kept[0]);
  ASSERT_TRUE(other) << other.error().message;
  other->state.resize(1);
  ASSERT_TRUE(runtime::write_recorded_call(kept_.path() / "other", *other));
  EXPECT_THAT(replay(kept_.path() / "other", 1,
                     {"--native", (binary_dir() / "replay/tally_replay").string()}),
              HasSubstr("none of this program's tally::Tally"));
  // What another version makes of the same call is something else: it says which it is.
  EXPECT_THAT(replay(kept[3], 1, {"--module", (modules() / "tally_2.wasm").string()}),
              HasSubstr("another version of the module"));
}

// The debugger as it is when somebody types at it.
TEST_F(Recording, a_call_runs_under_gdb_which_stops_in_its_source) {
  start({});
  {
    RawUe ue(address_);
    ASSERT_TRUE(ue.wait_up(kSoon));
    const auto module = ue.open(hostile_, {});
    ASSERT_TRUE(module) << module.error().message;
    EXPECT_EQ(ue.call(*module, "hostile::divide", arguments(7, 0)).error(), Errc::trapped);
  }
  ASSERT_EQ(files().size(), 1U);
  std::ofstream(kept_.path() / "typed") << "break hostile::divide_aloft_here\nrun\n"
                                           "continue\nquit\n";
  auto gdb = Process::start(
      {"sh", "-c", R"("$0" replay "$1" --native "$2" --gdb < "$3")",
       (binary_dir() / "bin/aloft").string(), files()[0].string(),
       (binary_dir() / "replay/hostile_replay").string(), (kept_.path() / "typed").string()},
      {.environment = {{"DEBUGINFOD_URLS", ""}, {"HOME", kept_.path()}}});
  ASSERT_TRUE(gdb) << gdb.error().message;
  EXPECT_EQ(gdb->wait(kSoon), 0) << gdb->transcript();
  EXPECT_THAT(gdb->standard_output(),
              AllOf(HasSubstr("Breakpoint 1, hostile::divide_aloft_here"),
                    HasSubstr("hostile.cc:22"), HasSubstr("Program received signal SIGFPE")));
}

TEST_F(Recording, is_bounded_and_goes_on_where_an_earlier_process_ended) {
  start({.calls = 3});
  const auto call = [&](int times) {
    RawUe ue(address_);
    ASSERT_TRUE(ue.wait_up(kSoon));
    const auto module = ue.open(hostile_, {});
    ASSERT_TRUE(module) << module.error().message;
    for (int i = 0; i < times; ++i)
      EXPECT_EQ(ue.call(*module, "hostile::answer", arguments(i)).get<int>(), i + 1);
  };
  call(5);
  std::vector<fs::path> kept = files();
  ASSERT_EQ(kept.size(), 3U);
  EXPECT_EQ(kept.back().filename(), "00000005.aloftcall");
  handler_.reset();
  start({.calls = 2});
  call(1);
  kept = files();
  ASSERT_EQ(kept.size(), 2U);
  EXPECT_EQ(kept.back().filename(), "00000006.aloftcall");
  EXPECT_EQ(fs::status(kept_.path() / "calls").permissions(), fs::perms::owner_all);
}

TEST_F(Recording, keeps_what_is_asked_for_and_what_the_hook_lets_through) {
  start({.functions = {"hostile::answer", "hostile::divide"},
         .redact = [](runtime::RecordedCall& call) {
           if (call.function == "hostile::divide") return false;
           std::ranges::fill(call.arguments, std::byte{});
           return true;
         }});
  RawUe ue(address_);
  ASSERT_TRUE(ue.wait_up(kSoon));
  const auto module = ue.open(hostile_, {});
  ASSERT_TRUE(module) << module.error().message;
  EXPECT_EQ(ue.call(*module, "hostile::answer", arguments(1)).get<int>(), 2);
  EXPECT_EQ(ue.call(*module, "hostile::divide", arguments(6, 3)).get<int>(), 2);
  EXPECT_EQ(ue.call(*module, "hostile::give_up", arguments(1)).error(), Errc::trapped);
  const std::vector<fs::path> kept = files();
  ASSERT_EQ(kept.size(), 1U);
  const auto call = runtime::read_recorded_call(kept[0]);
  ASSERT_TRUE(call) << call.error().message;
  EXPECT_TRUE(std::ranges::all_of(call->arguments, [](std::byte b) { return b == std::byte{}; }));
}

TEST(Replay, says_what_is_wrong_with_what_it_is_given) {
  const TempDir folder;
  const auto error_of = [&](const fs::path& file, int status,
                            const std::vector<std::string>& arguments) {
    std::vector<std::string> command = {(binary_dir() / "bin/aloft").string(), "replay",
                                        file.string()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    auto process = Process::start(std::move(command));
    if (!process) return process.error().message;
    EXPECT_EQ(process->wait(kSoon), status) << process->transcript();
    return process->standard_error();
  };
  const std::string modules = (binary_dir() / "modules").string();
  EXPECT_THAT(error_of(folder.path() / "none", 3, {"--repository", modules}), HasSubstr("error: "));
  EXPECT_THAT(error_of(folder.path() / "none", 2, {}), HasSubstr("pass --repository"));
  EXPECT_THAT(error_of(folder.path() / "none", 2, {"--wasm", "--native", modules}),
              HasSubstr("--native excludes --wasm"));
  EXPECT_THAT(error_of(fs::path(modules) / "hostile.wasm", 1, {"--repository", modules}),
              HasSubstr("no call that an edge has recorded"));
  runtime::RecordedCall call;
  call.module = "gone";
  call.module_digest = std::string(64, '0');
  ASSERT_TRUE(runtime::write_recorded_call(folder.path() / "gone", call));
  EXPECT_THAT(error_of(folder.path() / "gone", 3, {"--repository", modules}),
              HasSubstr("no version sha256:000"));
  EXPECT_THAT(error_of(folder.path() / "gone", 1,
                       {"--module", (fs::path(modules) / "hostile.wasm").string()}),
              HasSubstr("has no function"));
}

}  // namespace
}  // namespace aloft::testing
