// Policies that predict, through the public interface: a device of the test's whose function takes
// its time and whose files say how hot it is, and an edge of the test's.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "device/testing/demo_module.h"
#include "support/relay.h"
#include <aloft/codec.h>
#include <aloft/runtime.h>

namespace aloft {
namespace {

using namespace std::chrono_literals;
using function::testing::AutomaticEdge;

namespace fs = std::filesystem;

// Answers a gate at once.
std::optional<AutomaticEdge::Answer> open_gate(const function::Call& call,
                                               const function::testing::Bytes& arguments) {
  if (call.function != 4) return demo::answer(call, arguments);
  AutomaticEdge::Answer answer;
  codec::Writer writer;
  codec::write(writer, std::int32_t{1});
  for (const auto segment : writer.segments())
    answer.body.insert(answer.body.end(), segment.begin(), segment.end());
  return answer;
}

class OutlookTest : public ::testing::Test {
 protected:
  OutlookTest() {
    root_ = fs::path(::testing::TempDir()) /
            (std::string("aloft_outlook_") +
             ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
    fs::create_directories(root_ / "class/thermal/thermal_zone0");
    std::ofstream(root_ / "class/thermal/thermal_zone0/type") << "cpu-thermal\n";
    temperature(40);
  }
  ~OutlookTest() override {
    runtime_.reset();
    demo::during_gate = [] {};
    fs::remove_all(root_);
  }

  void temperature(int celsius) {
    std::ofstream(root_ / "class/thermal/thermal_zone0/temp") << celsius * 1000 << "\n";
  }
  void start(std::shared_ptr<Policy> policy) { start(std::move(policy), edge_.address()); }
  void start(std::shared_ptr<Policy> policy, const std::string& edge) {
    RuntimeOptions options;
    options.edges = {edge};
    options.policy = std::move(policy);
    options.sys = root_;
    options.call_timeout = 60s;
    options.on_call = [this](const CallRecord& record) {
      const std::lock_guard lock(mutex_);
      last_ = record;
    };
    runtime_ = Runtime::create(std::move(options)).value();
    bind(*runtime_);
    ASSERT_TRUE(runtime_->wait_for_edge(30s).has_value());
  }
  // Calls until a call has a reason of this code; fails the test when none has.
  CallRecord call_until(ReasonCode code) {
    const auto until = std::chrono::steady_clock::now() + 60s;
    while (std::chrono::steady_clock::now() < until) {
      (void)demo::gate(1);
      const std::lock_guard lock(mutex_);
      if (last_.reason.code() == code) return last_;
    }
    ADD_FAILURE() << "the last reason is: " << last_.reason.text();
    return last_;
  }

  const demo::Registered module_;
  fs::path root_;
  AutomaticEdge edge_{open_gate};
  std::mutex mutex_;
  CallRecord last_;
  std::unique_ptr<Runtime> runtime_;
};

TEST_F(OutlookTest, min_latency_leaves_a_slow_device_for_a_fast_edge_and_says_what_it_expects) {
  demo::during_gate = [] { std::this_thread::sleep_for(20ms); };
  start(min_latency_policy());
  const CallRecord first = call_until(ReasonCode::learns_here);
  EXPECT_EQ(first.place, Place::here);
  EXPECT_GE(first.here_run, 20ms);
  EXPECT_GT(first.input_bytes, 0U);
  const CallRecord tried = call_until(ReasonCode::tries_edge);
  const CallRecord there = call_until(ReasonCode::latency_edge);
  EXPECT_EQ(there.place, Place::edge);
  EXPECT_LT(there.reason.numbers()[0], there.reason.numbers()[1]);
  EXPECT_GE(there.reason.numbers()[1], 20'000U) << there.reason.text();
}

TEST_F(OutlookTest, min_latency_stays_on_a_fast_device) {
  start(min_latency_policy());
  const CallRecord stays = call_until(ReasonCode::latency_here);
  EXPECT_EQ(stays.place, Place::here);
}

TEST_F(OutlookTest, an_outage_costs_no_call_and_after_it_the_edge_is_used_again) {
  demo::during_gate = [] { std::this_thread::sleep_for(20ms); };
  testing::Relay relay(edge_.port());
  relay.set_delay(1ms);
  start(min_latency_policy(), "127.0.0.1:" + std::to_string(relay.port()));
  (void)call_until(ReasonCode::latency_edge);
  relay.blackhole();
  const auto begin = std::chrono::steady_clock::now();
  std::chrono::nanoseconds longest{};
  while (std::chrono::steady_clock::now() < begin + 3s) {
    ASSERT_EQ(demo::gate(1), 1);
    const std::lock_guard lock(mutex_);
    longest = std::max(longest, last_.latency);
  }
  EXPECT_EQ(last_.place, Place::here);
  EXPECT_LT(longest, 2s) << "the first call waits until the link is known to be dead, and no other";
  relay.resume();
  const auto end = std::chrono::steady_clock::now();
  (void)call_until(ReasonCode::latency_edge);
  const std::chrono::duration<double> back = std::chrono::steady_clock::now() - end;
  std::cout << "back at the edge after " << back.count() << " s\n";
  EXPECT_LT(back, 10s);
}

TEST_F(OutlookTest, cool_leaves_a_device_that_grows_hot_and_comes_back_to_a_cool_one) {
  start(cool_policy(75, local_policy()));
  EXPECT_EQ(call_until(ReasonCode::local_always).place, Place::here);
  temperature(75);
  EXPECT_EQ(call_until(ReasonCode::cool_edge).place, Place::edge);
  temperature(60);
  EXPECT_EQ(call_until(ReasonCode::local_always).place, Place::here);
}

TEST_F(OutlookTest, a_policy_that_is_set_later_learns_from_then_on) {
  demo::during_gate = [] { std::this_thread::sleep_for(5ms); };
  start(local_policy());
  (void)call_until(ReasonCode::local_always);
  EXPECT_EQ(last_.input_bytes, 0U) << "nobody asked";
  runtime_->set_policy(min_latency_policy());
  EXPECT_EQ(call_until(ReasonCode::latency_edge).place, Place::edge);
  runtime_->set_policy(local_policy());
  EXPECT_EQ(call_until(ReasonCode::local_always).place, Place::here);
}

}  // namespace
}  // namespace aloft
