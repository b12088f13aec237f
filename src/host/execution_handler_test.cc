#include "host/execution_handler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/listening_socket.h"
#include "inference/testing/onnx_writer.h"
#include "support/raw_ue.h"
#include "support/temp_dir.h"
#include "test_paths.h"

namespace aloft::host {
namespace {

using namespace std::chrono_literals;
using testing::arguments;
using ::testing::HasSubstr;
using testing::ModuleFile;
using testing::RawUe;

// A handler in the test's own process, over real sockets, with real modules.
class ExecutionHandlerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ExecutionHandlerOptions options;
    options.repository = testing::binary_dir() / "modules";
    options.cache = cache_.path();
    options.session.instance.memory_bytes = 64U << 20U;
    auto made = ExecutionHandler::create(options, {.hand_over = [] {}, .end = [] {}});
    ASSERT_TRUE(made) << made.error().message;
    handler_ = *std::move(made);
    auto socket = ListeningSocket::open({"127.0.0.1", 0});
    ASSERT_TRUE(socket) << socket.error().message;
    address_ = socket->address();
    const auto serving = handler_->serve(socket->duplicate());
    ASSERT_TRUE(serving) << serving.error().message;
  }
  // A module opened with one instance, that is two call streams.
  Result<RawUe::Module> open_one_instance(RawUe& ue, const ModuleFile& file) {
    if (!ue.wait_up(5s)) return fail(Errc::unreachable, "not up");
    return ue.open(file, {}, [](function::OpenModule& request) { request.concurrency = 1; });
  }

  testing::TempDir cache_;
  std::unique_ptr<ExecutionHandler> handler_;
  channel::Address address_;
  const ModuleFile probe_{testing::binary_dir() / "modules/probe.wasm"};
  const ModuleFile hostile_{testing::binary_dir() / "modules/hostile.wasm"};
};

TEST_F(ExecutionHandlerTest, a_call_in_the_other_buffer_survives_the_end_of_its_instance) {
  RawUe ue(address_);
  const auto module = open_one_instance(ue, hostile_);
  ASSERT_TRUE(module) << module.error().message;
  ASSERT_EQ(module->streams.size(), 2U);
  for (int round = 0; round < 10; ++round) {
    const auto doomed =
        ue.start(*module, "hostile::loop_for_ever", arguments(1U), {.deadline = 100ms});
    const auto waiting = ue.start(*module, "hostile::answer", arguments(round));
    ASSERT_TRUE(doomed && waiting);
    EXPECT_EQ(ue.wait(*doomed).error(), Errc::deadline_exceeded);
    const auto answer = ue.wait(*waiting);
    ASSERT_EQ(answer.error(), std::nullopt) << answer.head.error->message;
    EXPECT_EQ(answer.get<int>(), round + 1);
  }
}

TEST_F(ExecutionHandlerTest, a_buffer_grows_between_calls_and_stays_as_it_was_where_it_cannot) {
  RawUe ue(address_);
  ASSERT_TRUE(ue.wait_up(5s));
  const auto module =
      ue.open(probe_, {}, [](function::OpenModule& request) { request.argument_bytes = 100; });
  ASSERT_TRUE(module) << module.error().message;
  for (const std::size_t size : {10U, 1000U, 100'000U, 3'000'000U, 10U}) {
    const std::string text(size, 'x');
    const auto answer = ue.call(*module, "probe::join", arguments(text, "!"));
    ASSERT_EQ(answer.error(), std::nullopt) << answer.head.error->message;
    EXPECT_EQ(answer.get<std::string>(), text + "!");
  }
  const auto too_large =
      ue.call(*module, "probe::join", arguments(std::string(100U << 20U, 'x'), "!"));
  EXPECT_EQ(too_large.error(), Errc::resource_exhausted);
  EXPECT_EQ(ue.call(*module, "probe::join", arguments("a", "b")).get<std::string>(), "ab");
}

TEST_F(ExecutionHandlerTest, a_call_that_is_given_up_ends_whether_it_runs_or_waits) {
  RawUe ue(address_);
  const auto module = open_one_instance(ue, hostile_);
  ASSERT_TRUE(module) << module.error().message;
  const auto running = ue.start(*module, "hostile::loop_for_ever", arguments(1U));
  const auto waiting = ue.start(*module, "hostile::loop_for_ever", arguments(1U));
  ASSERT_TRUE(running && waiting);
  ue.cancel(*waiting);
  ue.cancel(*running);
  EXPECT_EQ(ue.wait(*running, 2s).error(), Errc::cancelled);
  EXPECT_EQ(ue.wait(*waiting, 2s).error(), Errc::cancelled);
  EXPECT_EQ(ue.call(*module, "hostile::answer", arguments(1)).get<int>(), 2);
}

TEST_F(ExecutionHandlerTest, a_ue_that_vanishes_in_mid_call_leaves_nothing_running) {
  {
    RawUe ue(address_);
    const auto module = open_one_instance(ue, hostile_);
    ASSERT_TRUE(module) << module.error().message;
    ASSERT_TRUE(ue.start(*module, "hostile::loop_for_ever", arguments(1U)));
  }
  // Waits for all that runs: long before the call's own limit of 10 s.
  const auto started = std::chrono::steady_clock::now();
  handler_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - started, 3s);
}

TEST_F(ExecutionHandlerTest, a_guest_that_prints_much_is_cut_short_and_said_so) {
  RawUe ue(address_);
  const auto module = open_one_instance(ue, probe_);
  ASSERT_TRUE(module) << module.error().message;
  const auto answer = ue.call(*module, "probe::speak", arguments(5000));
  ASSERT_EQ(answer.error(), std::nullopt) << answer.head.error->message;
  const auto log = ue.log();
  EXPECT_EQ(log.size(), 201U);
  EXPECT_THAT(log.back().line, HasSubstr("the rest is dropped"));
}

TEST_F(ExecutionHandlerTest,
       a_function_that_was_not_opened_is_refused_and_its_stream_stays_of_use) {
  RawUe ue(address_);
  ASSERT_TRUE(ue.wait_up(5s));
  const auto module = ue.open(probe_, {}, [](function::OpenModule& request) {
    request.functions.resize(1);
    request.concurrency = 1;
  });
  ASSERT_TRUE(module) << module.error().message;
  for (int round = 0; round < 5; ++round) {
    EXPECT_EQ(ue.call(*module, "probe::grind", arguments(1U)).error(), Errc::invalid_argument);
  }
}

}  // namespace
}  // namespace aloft::host
