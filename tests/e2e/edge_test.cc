// aloft-exec as a program: what UEs that connect to it get.
#include <atomic>
#include <iostream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "inference/testing/onnx_writer.h"
#include "one_of_each.h"
#include "probe.aloft.h"
#include "probe.h"
#include "support/edge_fixture.h"
#include "support/process.h"
#include <aloft/runtime.h>

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class Edge : public EdgeFixture {};

aloft::Image gradient(std::uint32_t width, std::uint32_t height) {
  aloft::Image image(width, height, PixelFormat::bgr8);
  std::size_t i = 0;
  for (std::uint8_t& value : image.mutable_pixels()) value = static_cast<std::uint8_t>(i++ * 7);
  return image;
}

TEST_F(Edge, every_type_comes_back_as_it_went) {
  RuntimeOptions options;
  options.edges = {edge_->address()};
  auto runtime = Runtime::create(std::move(options));
  ASSERT_TRUE(runtime) << runtime.error().message;
  bind(**runtime);
  const auto ready = (*runtime)->wait_for_edge(10s);
  ASSERT_TRUE(ready) << ready.error().message << edge_->process().transcript();
  const PlaceScope scope(Place::edge);
  const probe::Everything all = one_of_each();
  auto echoed = probe::echo_async(all);
  const auto result = echoed.get();
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(*result, all);
  EXPECT_FALSE(echoed.record().fell_back);
  EXPECT_EQ(echoed.record().place, Place::edge);
}

TEST_F(Edge, arguments_larger_than_the_buffer_make_it_grow) {
  RawUe ue(address());
  ASSERT_TRUE(ue.wait_up(5s));
  const auto module = ue.open(probe_, {});
  ASSERT_TRUE(module) << module.error().message;
  const aloft::Image image = gradient(1600, 1200);  // 5.8 MB
  std::uint64_t expected = 0;
  for (const std::uint8_t value : image.pixels()) expected += value;
  for (int round = 0; round < 5; ++round) {
    const auto answer = ue.call(*module, "probe::sum", arguments(image));
    ASSERT_EQ(answer.error(), std::nullopt) << answer.head.error->message;
    EXPECT_EQ(answer.get<std::uint64_t>(), expected);
  }
}

TEST_F(Edge, a_large_result_leaves_guest_memory_whole) {
  RawUe ue(address());
  ASSERT_TRUE(ue.wait_up(5s));
  const auto module = ue.open(probe_, {});
  ASSERT_TRUE(module) << module.error().message;
  const aloft::Image image = gradient(1280, 720);
  for (int round = 0; round < 20; ++round) {
    const auto answer = ue.call(*module, "probe::invert", arguments(image));
    ASSERT_EQ(answer.error(), std::nullopt) << answer.head.error->message;
    const auto inverted = answer.get<aloft::Image>();
    ASSERT_EQ(inverted.pixels().size(), image.pixels().size());
    for (std::size_t i = 0; i < image.pixels().size(); ++i) {
      ASSERT_EQ(inverted.pixels()[i], 255 - image.pixels()[i]) << i;
    }
  }
}

TEST_F(Edge, connections_at_a_time_get_each_their_own_answers) {
  std::atomic<int> right = 0;
  std::vector<std::thread> ues;
  for (int who = 0; who < 4; ++who) {
    ues.emplace_back([&, who] {
      RawUe ue(address());
      const auto module = ue.wait_up(5s) ? ue.open(probe_, {}) : fail(Errc::unreachable, "not up");
      ASSERT_TRUE(module) << module.error().message;
      for (int i = 0; i < 100; ++i) {
        const std::string text = std::to_string(who) + "/" + std::to_string(i);
        const auto answer = ue.call(*module, "probe::join", arguments(text, text));
        ASSERT_EQ(answer.error(), std::nullopt) << answer.head.error->message;
        right += answer.get<std::string>() == text + text ? 1 : 0;
      }
    });
  }
  for (std::thread& ue : ues) ue.join();
  EXPECT_EQ(right, 400);
}

TEST_F(Edge, what_a_guest_prints_reaches_its_caller_and_the_edges_log_with_the_calls_number) {
  RawUe ue(address());
  ASSERT_TRUE(ue.wait_up(5s));
  const auto module = ue.open(probe_, {});
  ASSERT_TRUE(module) << module.error().message;
  const auto first = ue.start(*module, "probe::join", arguments("a", "b"));
  ASSERT_TRUE(first);
  ASSERT_EQ(ue.wait(*first).error(), std::nullopt);
  const auto call = ue.start(*module, "probe::speak", arguments(2));
  ASSERT_TRUE(call);
  ASSERT_EQ(ue.wait(*call).error(), std::nullopt);
  const auto log = ue.log();
  ASSERT_EQ(log.size(), 3U);
  for (const auto& line : log) EXPECT_EQ(line.call_id, *call);
  EXPECT_TRUE(
      std::ranges::any_of(log, [](const auto& line) { return line.line == "line 1 of 2"; }));
  EXPECT_TRUE(std::ranges::any_of(
      log, [](const auto& line) { return line.is_error && line.line == "and one to stderr"; }));
  EXPECT_TRUE(edge_->process().wait_for_error("session 1 call 2 stdout: line 0 of 2", 2s))
      << edge_->process().transcript();
}

TEST_F(Edge, a_model_is_sent_once_and_kept_over_restarts) {
  const auto model = inference::testing::doubling_model({1});
  for (const std::size_t wanted : {1U, 0U}) {
    RawUe ue(address());
    ASSERT_TRUE(ue.wait_up(5s));
    const auto module = ue.open(infer_, {{"model", model}});
    ASSERT_TRUE(module) << module.error().message;
    const auto answer = ue.call(*module, "infer::run", arguments(21.0F), {.digest_tensors = true});
    ASSERT_EQ(answer.error(), std::nullopt) << answer.head.error->message;
    EXPECT_EQ(answer.get<float>(), 42.0F);
    EXPECT_EQ(answer.head.tensor_digests.size(), 1U);
    EXPECT_EQ(ue.models_wanted(), wanted);
  }
  edge_->process().signal(SIGTERM);
  ASSERT_EQ(edge_->process().wait(5s), 0) << edge_->process().transcript();
  auto again = DemoEdge::start(cache_.path());
  ASSERT_TRUE(again) << again.error().message;
  RawUe ue({"127.0.0.1", again->port()});
  ASSERT_TRUE(ue.wait_up(5s));
  ASSERT_TRUE(ue.open(infer_, {{"model", model}}));
  EXPECT_EQ(ue.models_wanted(), 0U);
}

TEST_F(Edge, an_edge_that_is_told_to_end_says_goodbye) {
  RawUe ue(address());
  ASSERT_TRUE(ue.wait_up(5s));
  edge_->process().signal(SIGTERM);
  const auto down = ue.wait_down(2s);
  ASSERT_TRUE(down);
  EXPECT_THAT(down->message, HasSubstr("going away"));
  EXPECT_EQ(edge_->process().wait(5s), 0) << edge_->process().transcript();
}

struct BadCommand {
  const char* name;
  std::vector<std::string> arguments;
  const char* says;
};

class BadCommandLine : public ::testing::TestWithParam<BadCommand> {};

TEST_P(BadCommandLine, ends_with_an_error_and_status_2) {
  TempDir folder;
  std::vector<std::string> command{(binary_dir() / "bin/aloft-exec").string(), "--cache",
                                   folder.path().string()};
  for (const std::string& argument : GetParam().arguments) {
    command.push_back(argument == "FOLDER" ? folder.path().string() : argument);
  }
  auto edge = Process::start(command);
  ASSERT_TRUE(edge) << edge.error().message;
  EXPECT_EQ(edge->wait(5s), 2) << edge->transcript();
  EXPECT_THAT(edge->standard_error(), ::testing::StartsWith("error: "));
  EXPECT_THAT(edge->standard_error(), HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    AloftExec, BadCommandLine,
    ::testing::Values(
        BadCommand{"no_repository", {}, "--repository is required"},
        BadCommand{"repository_that_is_not_there", {"--repository", "/nowhere"}, "no such folder"},
        BadCommand{"listening_to_everybody",
                   {"--repository", "FOLDER", "--listen", "0.0.0.0:0"},
                   "pass --insecure"},
        BadCommand{"junk_address", {"--repository", "FOLDER", "--listen", "7411"}, "--listen"},
        BadCommand{
            "an_option_that_is_not_there", {"--repository", "FOLDER", "--bogus"}, "--bogus"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Insecure, is_said_at_start) {
  TempDir folder;
  auto edge = Process::start({(binary_dir() / "bin/aloft-exec").string(), "--repository",
                              folder.path().string(), "--cache", folder.path().string(), "--listen",
                              "0.0.0.0:0", "--insecure"});
  ASSERT_TRUE(edge) << edge.error().message;
  EXPECT_TRUE(edge->wait_for_line("listening on 0.0.0.0:", 10s)) << edge->transcript();
  EXPECT_THAT(edge->standard_error(),
              ::testing::StartsWith("warning: --insecure: anyone who reaches"));
}

}  // namespace
}  // namespace aloft::testing
