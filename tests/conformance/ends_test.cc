// How calls end that do not end well, what they leave behind, and what a guest may use beside its
// arguments.
#include <gmock/gmock.h>

#include "world.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AnyOf;
using ::testing::HasSubstr;

class Abort : public ConformanceTest {};
class Trap : public ConformanceTest {};
class Time : public ConformanceTest {
 protected:
  void SetUp() override {
    if (guest_place() == Place::here)
      GTEST_SKIP()
          << "what runs natively cannot be interrupted, in whatever language it was written";
  }
};
class Memory : public ConformanceTest {};
class Stack : public ConformanceTest {};
class Log : public ConformanceTest {};
class Nn : public ConformanceTest {};

// That the module goes on to serve.
void expect_served() {
  auto call = conformance::next_i32_async(41);
  const auto result = result_at_place(call);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(*result, 42);
}

TEST_F(Abort, ends_the_call_with_the_guests_own_message) {
  for (int round = 0; round < 5; ++round) {
    const std::string message = "there is no " + std::to_string(round);
    const auto result = conformance::give_up_async(message).get();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::trapped);
    EXPECT_TRUE(world_.wait_for_log("call aborted: " + message));
    expect_served();
  }
}

TEST_F(Trap, ends_its_own_call_alone) {
  for (int round = 0; round < 5; ++round) {
    const auto result = conformance::quotient_async(1, 0).get();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::trapped) << result.error().message;
    auto call = conformance::quotient_async(-7, 2);
    EXPECT_EQ(result_at_place(call).value(), -3);
  }
}

TEST_F(Time, is_up_for_a_call_that_does_not_end) {
  {
    const DeadlineScope within(300ms);
    const auto result = conformance::spin_async(1).get();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::deadline_exceeded) << result.error().message;
  }
  expect_served();
}
TEST_F(Time, is_not_wasted_on_a_call_that_is_given_up) {
  auto call = conformance::spin_async(1);
  call.cancel();
  const auto result = call.get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::cancelled) << result.error().message;
  expect_served();
}

TEST_F(Memory, is_bounded_for_a_guest_that_hoards_it) {
  constexpr std::uint32_t kPiece = 1U << 20U;
  const auto result = conformance::hoard_async(kPiece).get();
  // What it makes of an allocation that fails is the language's business.
  if (result)
    EXPECT_LT(*result, guest_place() == Place::here ? 256U : 64U);
  else
    EXPECT_EQ(result.error().code, Errc::trapped) << result.error().message;
  expect_served();
}

TEST_F(Stack, is_bounded_for_a_guest_that_calls_itself_without_end) {
  const auto result = conformance::fall_async(0).get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::trapped) << result.error().message;
  expect_served();
}

TEST_F(Log, has_what_the_guest_says) {
  const std::string line = "a line from " + guest_language();  // outlives the call
  auto call = conformance::say_async(line);
  ASSERT_TRUE(result_at_place(call));
  EXPECT_TRUE(world_.wait_for_log(line));
}

TEST_F(Nn, inferences_run_on_the_host) {
  for (int i = 0; i < 1000; ++i) {
    const float number = static_cast<float>(i) / 4.0F - 100.0F;
    auto call = conformance::infer_async(number);
    const auto result = result_at_place(call);
    ASSERT_TRUE(result) << result.error().message;
    ASSERT_EQ(*result, number * 2.0F);
  }
}

}  // namespace
}  // namespace aloft::testing
