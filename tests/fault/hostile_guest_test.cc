// Guests and models that do their worst, while another session of the same edge goes on calling.
#include <atomic>
#include <fstream>
#include <iostream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inference/testing/onnx_writer.h"
#include "support/edge_fixture.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// Calls from a session of its own, one after the other, until it is stopped; all answers must be
// right.
class Bystander {
 public:
  Bystander(net::Address address, const ModuleFile& probe) : ue_(std::move(address)) {
    if (ue_.wait_up(5s)) module_ = ue_.open(probe, {});
    if (module_) thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  // How many answers were right; all others are failures of the test.
  int stop() {
    if (!thread_.joinable())
      ADD_FAILURE() << "the bystander never started: " << module_.error().message;
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
    return right_;
  }
  [[nodiscard]] int right() const { return right_; }
  [[nodiscard]] RawUe& ue() { return ue_; }

 private:
  void run(const std::stop_token& stop) {
    for (int i = 0; !stop.stop_requested(); ++i) {
      const std::string text = std::to_string(i);
      const auto answer = ue_.call(*module_, "probe::join", arguments(text, text));
      ASSERT_EQ(answer.error(), std::nullopt) << answer.head.error->message;
      ASSERT_EQ(answer.get<std::string>(), text + text);
      ++right_;
    }
  }

  RawUe ue_;
  Result<RawUe::Module> module_ = fail(Errc::unreachable, "not up");
  std::atomic<int> right_ = 0;
  std::jthread thread_;
};

class HostileGuest : public EdgeFixture {
 protected:
  void SetUp() override { start({"--call-limit", "500", "--max-memory", "64"}); }

  const ModuleFile hostile_{binary_dir() / "modules/hostile.wasm"};
};

struct Misdeed {
  const char* name;
  const char* function;
  std::vector<std::byte> arguments;
  std::optional<Errc> error;  // none: the guest gets no for an answer, and says so
  const char* says;
};

class Misdeeds : public HostileGuest, public ::testing::WithParamInterface<Misdeed> {};

TEST_P(Misdeeds, harm_only_their_own_call) {
  Bystander bystander(address(), probe_);
  RawUe ue(address());
  ASSERT_TRUE(ue.wait_up(5s));
  const auto module = ue.open(hostile_, {});
  ASSERT_TRUE(module) << module.error().message;
  const int before = bystander.right();
  for (int round = 0; round < 2; ++round) {
    const auto answer = ue.call(*module, GetParam().function, GetParam().arguments);
    ASSERT_EQ(answer.error(), GetParam().error) << answer.head.error.value_or(Error{}).message;
    if (answer.error()) {
      EXPECT_THAT(answer.head.error->message, HasSubstr(GetParam().says));
    }
    if (answer.error() == Errc::trapped) {
      // The line of the user's own source.
      EXPECT_THAT(answer.head.trap_backtrace, HasSubstr("hostile.cc:"));
    }
    // The session goes on, in the same instance or in its successor.
    const auto after = ue.call(*module, "hostile::answer", arguments(41));
    ASSERT_EQ(after.error(), std::nullopt) << after.head.error->message;
    EXPECT_EQ(after.get<int>(), 42);
  }
  EXPECT_GT(bystander.stop(), before);
}

INSTANTIATE_TEST_SUITE_P(
    AGuest, Misdeeds,
    ::testing::Values(
        Misdeed{"that_loops", "hostile::loop_for_ever", arguments(1U), Errc::deadline_exceeded,
                "time"},
        Misdeed{"that_prints_without_end", "hostile::print_without_end", arguments(1),
                Errc::deadline_exceeded, "time"},
        Misdeed{"that_gives_up", "hostile::give_up", arguments(1), Errc::trapped,
                "call aborted: nothing to be done"},
        Misdeed{"that_divides_by_zero", "hostile::divide", arguments(1, 0), Errc::trapped, "zero"},
        Misdeed{"that_reads_outside_its_memory", "hostile::read_outside", arguments(0xF000'0000U),
                Errc::trapped, "out of bounds"},
        Misdeed{"that_recurses_without_end", "hostile::recurse", arguments(1), Errc::trapped, ""},
        Misdeed{"that_allocates_without_end", "hostile::allocate_without_end", arguments(65536U),
                std::nullopt, ""},
        Misdeed{"that_asks_for_4_GiB", "hostile::ask_for", arguments(0xFFFF'0000U), std::nullopt,
                ""},
        Misdeed{"whose_arguments_do_not_decode", "hostile::answer", arguments("no number"),
                Errc::protocol, "hostile::answer"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(HostileGuest, what_it_allocates_stays_within_its_limit) {
  RawUe ue(address());
  ASSERT_TRUE(ue.wait_up(5s));
  const auto module = ue.open(hostile_, {});
  ASSERT_TRUE(module) << module.error().message;
  const auto all = ue.call(*module, "hostile::allocate_without_end", arguments(65536U));
  ASSERT_EQ(all.error(), std::nullopt) << all.head.error->message;
  EXPECT_LE(all.get<std::uint64_t>(), 64U << 20U);
  const auto huge = ue.call(*module, "hostile::ask_for", arguments(0xFFFF'0000U));
  ASSERT_EQ(huge.error(), std::nullopt);
  EXPECT_FALSE(huge.get<bool>());
}

TEST_F(HostileGuest, an_inference_that_can_be_cancelled_ends_at_its_deadline) {
  Bystander bystander(address(), probe_);
  RawUe ue(address());
  ASSERT_TRUE(ue.wait_up(5s));
  const auto module = ue.open(infer_, {{"model", inference::testing::endless_model()}});
  ASSERT_TRUE(module) << module.error().message;
  const auto started = std::chrono::steady_clock::now();
  const auto answer = ue.call(*module, "infer::run", arguments(1.0F), {.deadline = 300ms});
  EXPECT_LT(std::chrono::steady_clock::now() - started, 2s);
  EXPECT_EQ(answer.error(), Errc::deadline_exceeded);
  // The session and the engine are of use afterwards.
  const auto other = ue.open(probe_, {});
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_EQ(ue.call(*other, "probe::join", arguments("a", "b")).get<std::string>(), "ab");
  EXPECT_GT(bystander.stop(), 0);
  EXPECT_THAT(edge_->process().standard_error(), ::testing::Not(HasSubstr("gives way")));
}

TEST_F(HostileGuest, an_inference_of_one_session_does_not_hold_up_those_of_another) {
  start({"--call-limit", "3000"});
  RawUe hog(address());
  ASSERT_TRUE(hog.wait_up(5s));
  const auto endless = hog.open(infer_, {{"model", inference::testing::endless_model()}});
  ASSERT_TRUE(endless) << endless.error().message;
  const auto first = hog.start(*endless, "infer::run", arguments(1.0F));
  const auto second = hog.start(*endless, "infer::run", arguments(1.0F));
  ASSERT_TRUE(first && second);
  RawUe ue(address());
  ASSERT_TRUE(ue.wait_up(5s));
  const auto module = ue.open(infer_, {{"model", inference::testing::doubling_model({1})}});
  ASSERT_TRUE(module) << module.error().message;
  for (int i = 0; i < 10; ++i) {
    const auto answer = ue.call(*module, "infer::run", arguments(1.0F), {.deadline = 1s});
    ASSERT_EQ(answer.error(), std::nullopt) << answer.head.error->message;
    EXPECT_EQ(answer.get<float>(), 2.0F);
  }
  hog.cancel(*first);
  hog.cancel(*second);
  EXPECT_EQ(hog.wait(*first).error(), Errc::cancelled);
  EXPECT_EQ(hog.wait(*second).error(), Errc::cancelled);
}

TEST_F(HostileGuest,
       an_inference_that_cannot_be_cancelled_costs_its_process_and_nobody_elses_answers) {
  RawUe other(address());
  ASSERT_TRUE(other.wait_up(5s));
  ASSERT_TRUE(other.open(probe_, {}));
  RawUe ue(address());
  ASSERT_TRUE(ue.wait_up(5s));
  const auto stubborn = inference::testing::stubborn_model();
  const auto module = ue.open(infer_, {{"model", stubborn}});
  ASSERT_TRUE(module) << module.error().message;

  const auto call = ue.start(*module, "infer::run", arguments(1.0F), {.deadline = 300ms});
  ASSERT_TRUE(call);
  const auto answer = ue.wait(*call, 8s);
  EXPECT_EQ(answer.error(), Errc::deadline_exceeded);
  ASSERT_TRUE(answer.head.error);
  EXPECT_THAT(answer.head.error->message, HasSubstr("quarantine"));

  // The other UE is told to come back, does, and is served by the successor.
  const auto down = other.wait_down(2s);
  ASSERT_TRUE(down) << edge_->process().transcript();
  EXPECT_THAT(down->message, HasSubstr("going away"));
  const auto gone = std::chrono::steady_clock::now();
  ASSERT_TRUE(other.wait_up(3s)) << edge_->process().transcript();
  const auto back = std::chrono::steady_clock::now() - gone;
  RecordProperty(
      "ms_until_served_again",
      static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(back).count()));
  EXPECT_LT(back, 1s);
  const auto again = other.open(probe_, {});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(other.call(*again, "probe::join", arguments("a", "b")).get<std::string>(), "ab");

  // The model is not taken again.
  ASSERT_TRUE(ue.wait_up(3s));
  const auto refused = ue.open(infer_, {{"model", stubborn}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::refused);
  EXPECT_THAT(refused.error().message, HasSubstr("in quarantine"));
}

}  // namespace
}  // namespace aloft::testing
