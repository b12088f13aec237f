// What elastic functions promise beside their result: deadlines, hedges, effects that happen once,
// several edges, futures that can be awaited and cancelled, and errors with a type.
#include <atomic>
#include <coroutine>
#include <latch>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "device/testing/demo_module.h"
#include <aloft/function.h>
#include <aloft/runtime.h>

namespace aloft {
namespace {

using namespace std::chrono_literals;
using function::testing::AutomaticEdge;
using ::testing::HasSubstr;

using Answer = std::optional<AutomaticEdge::Answer>;

// An edge that fails every call with this.
Answer fail_with(Errc code) {
  AutomaticEdge::Answer answer;
  answer.head.error = Error{code, "the edge says so"};
  return answer;
}

// What gate() returns at an edge that answers it.
Answer answer_gate(std::int32_t value) {
  codec::Writer writer;
  codec::write(writer, value);
  AutomaticEdge::Answer answer;
  for (const auto segment : writer.segments())
    answer.body.insert(answer.body.end(), segment.begin(), segment.end());
  return answer;
}

class Promises : public ::testing::Test {
 protected:
  ~Promises() override {
    demo::during_gate = [] {};
    demo::charged_here = 0;
  }

  RuntimeOptions options(const std::vector<const AutomaticEdge*>& edges) {
    RuntimeOptions made;
    for (const AutomaticEdge* const edge : edges) made.edges.push_back(edge->address());
    made.policy = remote_policy();
    made.call_timeout = 60s;
    made.log_level = LogLevel::error;
    made.on_call = [this](const CallRecord& record) {
      const std::lock_guard lock(mutex_);
      last_ = record;
    };
    return made;
  }
  void start(RuntimeOptions with) {
    const std::size_t edges = with.edges.size();
    auto made = Runtime::create(std::move(with));
    ASSERT_TRUE(made.has_value()) << made.error().message;
    runtime_ = *std::move(made);
    bind(*runtime_);
    for (std::size_t edge = 0; edge < edges; ++edge)
      ASSERT_TRUE(runtime_->wait_for_edge(10s, edge).has_value());
  }
  [[nodiscard]] CallRecord last() {
    const std::lock_guard lock(mutex_);
    return last_;
  }
  // The code with which a synchronous call fails.
  template <class Call>
  Errc failure_of(const Call& call) {
    try {
      (void)call();
    } catch (const CallFailed& failed) {
      EXPECT_EQ(last().error->code, failed.error().code);
      return failed.error().code;
    }
    ADD_FAILURE() << "it has a result";
    return Errc::internal;
  }

  const demo::Registered module_;
  std::mutex mutex_;
  CallRecord last_;
  std::unique_ptr<Runtime> runtime_;
};

// --- Settings

TEST_F(Promises, settings_of_a_function_that_is_not_there_are_refused_with_those_that_are) {
  RuntimeOptions with = options({});
  with.functions["demo::gates"].deadline = 1s;
  const auto made = Runtime::create(std::move(with));
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code, Errc::invalid_argument);
  EXPECT_THAT(made.error().message, HasSubstr("'demo::gates'"));
  EXPECT_THAT(made.error().message, HasSubstr("demo::add, demo::shout"));
}

TEST_F(Promises, settings_that_contradict_themselves_are_refused) {
  const auto refused = [&](std::string name, FunctionSettings settings) {
    RuntimeOptions with = options({});
    with.functions.emplace(std::move(name), settings);
    const auto made = Runtime::create(std::move(with));
    return !made.has_value() && made.error().code == Errc::invalid_argument;
  };
  EXPECT_TRUE(refused("demo::add", {.deadline = 0s, .fallback = {}, .hedge = {}}));
  EXPECT_TRUE(refused("demo::add", {.deadline = {}, .fallback = Fallback::none, .hedge = 1ms}));
  EXPECT_TRUE(refused("demo::charge", {.deadline = {}, .fallback = {}, .hedge = 1ms}));
  EXPECT_FALSE(refused("demo::charge", {.deadline = 1s, .fallback = Fallback::none, .hedge = {}}));
}

// --- Deadlines

TEST_F(Promises, a_call_without_a_result_at_its_deadline_is_told_so) {
  AutomaticEdge edge(demo::answer);
  RuntimeOptions with = options({&edge});
  with.functions["demo::gate"].deadline = 20ms;
  start(std::move(with));
  EXPECT_EQ(failure_of([] { return demo::gate(1); }), Errc::deadline_exceeded);
  EXPECT_GE(last().latency, 20ms);
  EXPECT_FALSE(last().fell_back);
  EXPECT_EQ(demo::gate_async(1).get().error().code, Errc::deadline_exceeded);
  EXPECT_EQ(demo::add(1, 2), 1003) << "which has none";
}

TEST_F(Promises, a_deadline_scope_counts_for_each_call_of_its_thread) {
  AutomaticEdge edge(demo::answer);
  RuntimeOptions with = options({&edge});
  with.functions["demo::gate"].deadline = 1h;
  start(std::move(with));
  const DeadlineScope scope(15ms);
  EXPECT_EQ(failure_of([] { return demo::gate(1); }), Errc::deadline_exceeded);
  EXPECT_EQ(demo::gate_async(1).get().error().code, Errc::deadline_exceeded);
  const DeadlineScope longer(1h);
  EXPECT_EQ(demo::add(1, 2), 1003);
}

TEST_F(Promises, a_run_here_that_ends_after_its_deadline_is_not_told) {
  start(options({}));
  demo::during_gate = [] {
    const auto end = std::chrono::steady_clock::now() + 5ms;
    while (std::chrono::steady_clock::now() < end) std::this_thread::yield();
  };
  const DeadlineScope scope(5ms);
  EXPECT_EQ(failure_of([] { return demo::gate(1); }), Errc::deadline_exceeded);
  EXPECT_EQ(demo::gate_async(1).get().error().code, Errc::deadline_exceeded);
  demo::during_gate = [] {};
  const DeadlineScope longer(1h);
  EXPECT_EQ(demo::gate(2), 2);
  EXPECT_EQ(demo::gate_async(3).get().value(), 3);
}

// --- Typed errors

TEST_F(Promises, without_a_fallback_the_edges_own_error_reaches_the_caller) {
  for (const Errc code : {Errc::overloaded, Errc::refused, Errc::resource_exhausted}) {
    AutomaticEdge edge([&](const auto&, const auto&) { return fail_with(code); });
    RuntimeOptions with = options({&edge});
    with.functions["demo::add"].fallback = Fallback::none;
    start(std::move(with));
    EXPECT_EQ(failure_of([] { return demo::add(1, 2); }), code);
    const auto result = demo::add_async(1, 2).get();
    EXPECT_EQ(result.error().code, code);
    EXPECT_EQ(result.error().message, "the edge says so");
    EXPECT_EQ(demo::shout("hey"), "HEY") << "which may fall back";
    EXPECT_EQ(last().remote_error->code, code);
    runtime_.reset();
  }
}

TEST_F(Promises, without_a_fallback_a_lost_edge_is_unreachable) {
  AutomaticEdge edge(demo::answer);
  RuntimeOptions with = options({&edge});
  with.functions["demo::gate"].fallback = Fallback::none;
  start(std::move(with));
  auto lost = demo::gate_async(1);
  edge.wait_for_unanswered_call();
  edge.drop_link();
  EXPECT_EQ(lost.get().error().code, Errc::unreachable);
  EXPECT_EQ(lost.record().error->code, Errc::unreachable);
}

TEST_F(Promises, without_a_fallback_an_edge_that_cannot_be_spoken_to_says_why) {
  function::testing::ScriptedEdge edge({.role = "execution_handler",
                                        .refuse_links = Error{Errc::version_mismatch, "too old"},
                                        .port = 0});
  RuntimeOptions with = options({});
  with.edges = {edge.address().to_string()};
  with.functions["demo::add"].fallback = Fallback::none;
  runtime_ = Runtime::create(std::move(with)).value();
  bind(*runtime_);
  EXPECT_EQ(runtime_->wait_for_edge(10s).error().code, Errc::version_mismatch);
  const PlaceScope scope(Place::edge);
  EXPECT_EQ(failure_of([] { return demo::add(1, 2); }), Errc::version_mismatch);
  EXPECT_EQ(demo::gate(5), 5);
  EXPECT_EQ(last().remote_error->code, Errc::version_mismatch);
}

// --- Hedges

TEST_F(Promises, a_call_whose_edge_is_late_is_hedged_here) {
  AutomaticEdge edge(demo::answer);
  RuntimeOptions with = options({&edge});
  with.functions["demo::gate"].hedge = 5ms;
  start(std::move(with));
  EXPECT_EQ(demo::gate(7), 7);
  EXPECT_TRUE(last().hedged);
  EXPECT_FALSE(last().fell_back);
  EXPECT_EQ(last().place, Place::here);
  auto later = demo::gate_async(8);
  EXPECT_EQ(later.get().value(), 8);
  EXPECT_TRUE(later.record().hedged);
  EXPECT_EQ(demo::add(1, 2), 1003) << "which is not hedged";
}

TEST_F(Promises, an_edge_that_answers_before_the_hedge_has_ended_wins_without_waiting_for_it) {
  std::latch hedged(2);
  std::latch leave(1);
  demo::during_gate = [&] {
    hedged.count_down();
    leave.wait();
  };
  AutomaticEdge edge([&](const function::Call&, const auto&) {
    hedged.wait();  // both hedges run
    return answer_gate(1000);
  });
  RuntimeOptions with = options({&edge});
  with.functions["demo::gate"].hedge = 1ms;
  with.local_workers = 2;
  start(std::move(with));
  auto later = demo::gate_async(1);
  EXPECT_EQ(demo::gate(2), 1000);
  EXPECT_FALSE(last().hedged);
  EXPECT_EQ(last().place, Place::edge);
  EXPECT_EQ(later.get().value(), 1000);
  leave.count_down();  // only now can the hedges end
  runtime_.reset();    // which use what is here
}

TEST_F(Promises, the_end_of_the_runtime_waits_for_hedges_that_nobody_wants) {
  std::latch hedged(1);
  std::atomic<bool> left = false;
  std::latch leave(1);
  demo::during_gate = [&] {
    hedged.count_down();
    leave.wait();
    left = true;
  };
  AutomaticEdge edge([&](const function::Call&, const auto&) {
    hedged.wait();
    return answer_gate(1000);
  });
  RuntimeOptions with = options({&edge});
  with.functions["demo::gate"].hedge = 1ms;
  start(std::move(with));
  EXPECT_EQ(demo::gate(2), 1000);
  std::jthread releasing([&] { leave.count_down(); });
  runtime_.reset();
  EXPECT_TRUE(left);
}

// --- Effects

// With a deadline, as calls with effects that have none are an elastic end's (elastic_end_test.cc).

TEST_F(Promises, a_call_with_effects_that_was_lost_on_its_way_is_interrupted) {
  AutomaticEdge edge(demo::answer);
  start(options({&edge}));
  const DeadlineScope scope(1h);
  auto lost = demo::charge_async(5);
  edge.wait_for_unanswered_call();
  edge.drop_link();
  EXPECT_EQ(lost.get().error().code, Errc::interrupted);
  EXPECT_EQ(lost.record().remote_error->code, Errc::unreachable);
  EXPECT_EQ(demo::charged_here, 0) << "it may have run there";
}

TEST_F(Promises, a_call_with_effects_at_an_edge_that_takes_too_long_is_interrupted) {
  AutomaticEdge edge(demo::answer);
  RuntimeOptions with = options({&edge});
  with.call_timeout = 20ms;
  start(std::move(with));
  const DeadlineScope scope(1h);
  EXPECT_EQ(failure_of([] { return demo::charge(5); }), Errc::interrupted);
  EXPECT_EQ(demo::charged_here, 0);
}

TEST_F(Promises, a_call_with_effects_that_no_edge_took_runs_here_once) {
  std::atomic<int> asked = 0;
  const auto refuse = [&](const auto&, const auto&) {
    ++asked;
    return fail_with(Errc::overloaded);
  };
  AutomaticEdge first(refuse);
  AutomaticEdge second(refuse);
  start(options({&first, &second}));
  const DeadlineScope scope(1h);
  EXPECT_EQ(demo::charge(5), 5);
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(demo::charged_here, 5);
  EXPECT_TRUE(last().fell_back);
}

TEST_F(Promises, a_call_with_effects_that_an_edge_began_and_failed_is_told_how) {
  AutomaticEdge edge([](const auto&, const auto&) { return fail_with(Errc::resource_exhausted); });
  start(options({&edge}));
  const DeadlineScope scope(1h);
  EXPECT_EQ(failure_of([] { return demo::charge(5); }), Errc::resource_exhausted);
  EXPECT_EQ(demo::charged_here, 0);
}

// --- Several edges

TEST_F(Promises, a_call_whose_edge_is_lost_is_run_again_at_the_next) {
  AutomaticEdge first(demo::answer);
  AutomaticEdge second([](const function::Call&, const auto&) { return answer_gate(1000); });
  start(options({&first, &second}));
  EXPECT_EQ(runtime_->edge_count(), 2U);
  auto moved = demo::gate_async(1);
  first.wait_for_unanswered_call();
  first.drop_link();
  EXPECT_EQ(moved.get().value(), 1000);
  EXPECT_EQ(moved.record().location, Location::edge(1));
  EXPECT_EQ(moved.record().edges_tried, 2U);
  EXPECT_EQ(moved.record().remote_error->code, Errc::unreachable);
  EXPECT_FALSE(moved.record().fell_back);
  ASSERT_TRUE(moved.record().takeover.has_value());
  ASSERT_TRUE(runtime_->wait_for_edge(10s, 0).has_value());
  EXPECT_EQ(demo::add(1, 2), 1003) << "the first one is back";
  EXPECT_EQ(last().location, Location::edge(0));
}

TEST_F(Promises, a_synchronous_call_goes_on_from_edge_to_edge_and_then_here) {
  AutomaticEdge first([](const auto&, const auto&) { return fail_with(Errc::overloaded); });
  AutomaticEdge second([](const auto&, const auto&) { return fail_with(Errc::refused); });
  start(options({&first, &second}));
  EXPECT_EQ(demo::add(1, 2), 3);
  EXPECT_EQ(last().edges_tried, 2U);
  EXPECT_EQ(last().remote_error->code, Errc::refused);
  EXPECT_TRUE(last().fell_back);
  EXPECT_FALSE(last().takeover.has_value());
}

TEST_F(Promises, who_waits_for_any_edge_has_the_first_that_comes_and_else_is_told_how_long_it_was) {
  RuntimeOptions with = options({});
  std::uint16_t port = 0;
  {
    const AutomaticEdge first(demo::answer);
    const AutomaticEdge second(demo::answer);
    with.edges = {first.address(), second.address()};
    port = second.port();
  }
  runtime_ = Runtime::create(std::move(with)).value();
  const auto in_vain = runtime_->wait_for_edge(50ms);
  ASSERT_FALSE(in_vain.has_value());
  EXPECT_EQ(in_vain.error().code, Errc::unreachable);
  EXPECT_NE(in_vain.error().message.find("(waited 50 ms)"), std::string::npos)
      << in_vain.error().message;
  AutomaticEdge second(demo::answer, port);
  ASSERT_TRUE(runtime_->wait_for_edge(60s).has_value());
  EXPECT_FALSE(runtime_->edge_ready(0));
  EXPECT_TRUE(runtime_->edge_ready(1));
}

TEST_F(Promises, who_waits_for_any_edge_is_told_at_once_that_all_refuse) {
  const auto refuse = [] {
    return function::testing::ScriptedEdge(
        {.role = "execution_handler", .refuse_links = Error{Errc::refused, "closed"}, .port = 0});
  };
  const auto first = refuse();
  const auto second = refuse();
  RuntimeOptions with = options({});
  with.edges = {first.address().to_string(), second.address().to_string()};
  runtime_ = Runtime::create(std::move(with)).value();
  EXPECT_EQ(runtime_->wait_for_edge(1h).error().code, Errc::refused);
}

TEST_F(Promises, a_thread_can_ask_for_one_edge) {
  AutomaticEdge first(demo::answer);
  AutomaticEdge second(demo::answer);
  start(options({&first, &second}));
  EXPECT_EQ(demo::add(1, 2), 1003);
  EXPECT_EQ(last().location, Location::edge(0));
  const auto before = runtime_->link_bytes(1);
  {
    const PlaceScope scope(Location::edge(1));
    EXPECT_EQ(demo::add(1, 2), 1003);
  }
  EXPECT_EQ(last().location, Location::edge(1));
  EXPECT_GT(runtime_->link_bytes(1).rx, before.rx);
  EXPECT_FALSE(runtime_->wait_for_edge(1s, 2).has_value());
  EXPECT_FALSE(runtime_->edge_ready(2));
  const PlaceScope scope(Location::edge(2));
  EXPECT_EQ(demo::add(1, 2), 1003) << "there is none, so the next ready one";
  EXPECT_EQ(last().location, Location::edge(0));
}

// --- Futures

// A coroutine that begins at once and belongs to nobody.
struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

struct Awaited {
  std::latch done{1};
  Result<std::int32_t> result = fail(Errc::internal, "not awaited yet");
  std::thread::id thread;
};

Detached await(Future<std::int32_t> future, Awaited& awaited) {
  awaited.result = co_await future;
  awaited.thread = std::this_thread::get_id();
  awaited.done.count_down();
}

TEST_F(Promises, a_future_can_be_awaited) {
  AutomaticEdge edge(demo::answer);
  start(options({&edge}));
  Awaited there;
  await(demo::add_async(1, 2), there);
  there.done.wait();
  EXPECT_EQ(there.result.value(), 1003);

  const PlaceScope scope(Place::here);
  std::latch leave(1);
  demo::during_gate = [&] { leave.wait(); };
  Awaited here;
  await(demo::gate_async(5), here);
  leave.count_down();  // it was suspended: this thread is here
  here.done.wait();
  EXPECT_EQ(here.result.value(), 5);
  EXPECT_NE(here.thread, std::this_thread::get_id());
}

TEST_F(Promises, a_future_that_is_ready_is_awaited_without_leaving_the_thread) {
  Awaited unbound;
  await(demo::add_async(1, 2), unbound);
  EXPECT_EQ(unbound.result.value(), 3);
  EXPECT_EQ(unbound.thread, std::this_thread::get_id());
  Awaited none;
  await(Future<std::int32_t>(), none);
  EXPECT_EQ(none.result.error().code, Errc::invalid_argument);
}

TEST_F(Promises, the_end_of_the_runtime_is_told_to_who_awaits) {
  AutomaticEdge edge(demo::answer);
  start(options({&edge}));
  Awaited ended;
  await(demo::gate_async(1), ended);
  edge.wait_for_unanswered_call();
  runtime_.reset();
  ended.done.wait();
  EXPECT_EQ(ended.result.error().code, Errc::cancelled);
}

TEST_F(Promises, a_call_can_be_cancelled_wherever_it_is) {
  AutomaticEdge edge(demo::answer);
  start(options({&edge}));
  auto at_edge = demo::gate_async(1);
  edge.wait_for_unanswered_call();
  at_edge.cancel();
  EXPECT_EQ(at_edge.get().error().code, Errc::cancelled);

  const PlaceScope scope(Place::here);
  std::latch entered(1);
  std::latch leave(1);
  demo::during_gate = [&] {
    entered.count_down();
    leave.wait();
  };
  auto running = demo::gate_async(2);
  entered.wait();
  auto waiting = demo::add_async(1, 2);
  waiting.cancel();
  EXPECT_EQ(waiting.get().error().code, Errc::cancelled) << "at once";
  running.cancel();
  running.cancel();
  EXPECT_FALSE(running.ready()) << "it uses its arguments";
  leave.count_down();
  EXPECT_EQ(running.get().value(), 2) << "a body is not torn down";
  running.cancel();
}

TEST_F(Promises, beyond_the_bound_calls_are_overloaded_at_once) {
  AutomaticEdge edge(demo::answer);
  RuntimeOptions with = options({&edge});
  with.max_calls = 3;
  start(std::move(with));
  std::vector<Future<std::int32_t>> under_way;
  for (int i = 0; i < 3; ++i) under_way.push_back(demo::gate_async(i));
  auto refused = demo::add_async(1, 2);
  EXPECT_TRUE(refused.ready());
  EXPECT_EQ(refused.get().error().code, Errc::overloaded);
  EXPECT_EQ(refused.record().error->code, Errc::overloaded);
  under_way.clear();
  EXPECT_EQ(demo::add_async(1, 2).get().value(), 1003);
}

// --- Decisions

TEST_F(Promises, the_last_decisions_are_kept_with_their_reasons) {
  AutomaticEdge edge(demo::answer);
  start(options({&edge}));
  demo::add(1, 2);
  {
    const PlaceScope scope(Place::here);
    demo::shout("hey");
  }
  const auto decisions = runtime_->recent_decisions();
  ASSERT_EQ(decisions.size(), 2U);
  EXPECT_EQ(decisions[0].function, "demo::add");
  EXPECT_EQ(decisions[0].location, Location::edge(0));
  EXPECT_EQ(decisions[0].reason.text(), "remote: always at the edge");
  EXPECT_EQ(decisions[1].number, 1U);
  EXPECT_EQ(decisions[1].location, Location::here());
  EXPECT_EQ(decisions[1].reason.code(), ReasonCode::asked_for);
}

TEST_F(Promises, decisions_of_many_threads_are_kept_whole) {
  RuntimeOptions with = options({});
  with.on_call = nullptr;
  with.policy = every_policy(10);
  start(std::move(with));
  std::atomic<bool> stop = false;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        while (!stop) demo::add(1, 2);
      });
    }
    for (int i = 0; i < 500 || runtime_->recent_decisions().size() < Runtime::kDecisionsKept; ++i) {
      for (const DecisionRecord& decision : runtime_->recent_decisions()) {
        ASSERT_EQ(decision.function, "demo::add");
        ASSERT_EQ(decision.reason.numbers()[0], 10U);
        ASSERT_EQ(decision.reason.numbers()[1] + 9, decision.reason.numbers()[2]);
        const bool here = decision.reason.numbers()[1] % 20 == 0;
        ASSERT_EQ(decision.reason.code(),
                  here ? ReasonCode::every_here : ReasonCode::every_not_ready);
      }
      runtime_->set_policy(every_policy(10));
    }
    stop = true;
  }
  EXPECT_EQ(runtime_->recent_decisions().size(), Runtime::kDecisionsKept);
}

}  // namespace
}  // namespace aloft
