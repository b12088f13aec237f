// Elastic objects, calls with effects and channels of the device, against edges of their own
// process over TCP: what a program sees of them while places come, go and are moved to.
#include "function/elastic_end.h"

#include <atomic>
#include <future>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "function/binding.h"
#include "function/elastic_calls.h"
#include "function/elastic_object.h"
#include "function/testing/movable_edge.h"
#include <aloft/channel.h>
#include <aloft/detail/object_call.h>
#include <aloft/dispatch.h>
#include <aloft/object.h>

namespace aloft::function {
namespace {

using namespace std::chrono_literals;
using testing::MovableEdge;

// --- A module, as aloft-cc would have made it

std::atomic<std::uint64_t> effects = 0;

std::uint64_t twice(std::uint64_t value) { return 2 * value; }
std::uint64_t launch(std::uint64_t value) {
  effects.fetch_add(1);
  return value;
}

std::uint64_t size_of(const std::string& text) { return text.size(); }

// Keeps what it was given, in order: nothing can be lost, doubled or exchanged unseen.
class Ledger {
 public:
  std::uint64_t add(std::uint64_t entry) {
    if (entry == kPoison) abort_call("a poisoned entry");
    entries_.push_back(entry);
    return entries_.size();
  }
  [[nodiscard]] std::uint64_t count() const { return entries_.size(); }
  [[nodiscard]] const std::vector<std::uint64_t>& entries() const { return entries_; }

  static constexpr std::uint64_t kPoison = 666;

 private:
  std::vector<std::uint64_t> entries_;
  ALOFT_STATE(entries_)
};

extern const ModuleDescriptor kModule;
const detail::ObjectClass kClasses[] = {{.module = &kModule,
                                         .qualified_name = "demo::Ledger",
                                         .index = 0,
                                         .state_hash = {},
                                         .native = &detail::NativeObjectOf<Ledger>::make}};
const FunctionDescriptor kFunctions[] = {
    {.module = &kModule,
     .index = 0,
     .qualified_name = "demo::twice",
     .export_name = "fn_twice",
     .signature_hash = {},
     .object = nullptr,
     .once = false,
     .run_encoded = [](void*, std::span<const std::byte> bytes) -> Result<std::vector<std::byte>> {
       return detail::run_encoded(&twice, bytes);
     },
     .identity = detail::identity_of(&twice)},
    {.module = &kModule,
     .index = 1,
     .qualified_name = "demo::launch",
     .export_name = "fn_launch",
     .signature_hash = {},
     .object = nullptr,
     .once = true,
     .run_encoded = [](void*, std::span<const std::byte> bytes) -> Result<std::vector<std::byte>> {
       return detail::run_encoded(&launch, bytes);
     },
     .identity = detail::identity_of(&launch)},
    {.module = &kModule,
     .index = 2,
     .qualified_name = "demo::Ledger::add",
     .export_name = "fn_add",
     .signature_hash = {},
     .object = &kClasses[0],
     .once = false,
     .run_encoded = [](void* object,
                       std::span<const std::byte> bytes) -> Result<std::vector<std::byte>> {
       return detail::run_encoded_method<std::uint64_t>(*static_cast<Ledger*>(object), &Ledger::add,
                                                        bytes);
     },
     .identity = detail::identity_of(&Ledger::add)},
    {.module = &kModule,
     .index = 3,
     .qualified_name = "demo::size_of",
     .export_name = "fn_size_of",
     .signature_hash = {},
     .object = nullptr,
     .once = false,
     .run_encoded = [](void*, std::span<const std::byte> bytes) -> Result<std::vector<std::byte>> {
       return detail::run_encoded(&size_of, bytes);
     },
     .identity = detail::identity_of(&size_of)},
};
const ModuleDescriptor kModule{.name = "demo",
                               .digest = "sha256:dd",
                               .functions = kFunctions,
                               .graphs = {},
                               .objects = kClasses};
const detail::ModuleRegistration kRegistration(kModule);

const detail::ObjectClass& ledger_class() { return kClasses[0]; }

testing::EdgeObject make_ledger(std::uint32_t) {
  auto ledger = std::make_shared<Ledger>();
  auto native = detail::NativeObjectOf<Ledger>::make(ledger.get());
  return {std::move(ledger), std::move(native)};
}

// What the dispatcher of a runtime does with these calls.
class TestDispatcher final : public detail::Dispatcher {
 public:
  explicit TestDispatcher(std::shared_ptr<EndPlaces> places) : places_(std::move(places)) {}
  void run(detail::ElasticCall& call) override {
    elastic_object_of(*places_, call).run(call, terms());
  }
  void start(detail::ElasticCall& call) override {
    elastic_object_of(*places_, call).start(call, terms());
  }
  void cancel(detail::ElasticCall& call) override { ElasticCalls::cancel(call); }
  std::shared_ptr<EndPlaces> end_places() override { return places_; }

  std::optional<std::chrono::milliseconds> deadline;  // of each call
  Fallback fallback = Fallback::here;

 private:
  [[nodiscard]] EndCallTerms terms() const {
    EndCallTerms made{.deadline = {}, .fallback = fallback};
    if (deadline) made.deadline = std::chrono::steady_clock::now() + *deadline;
    return made;
  }

  const std::shared_ptr<EndPlaces> places_;
};

std::uint64_t add(Ledger& ledger, std::uint64_t entry) {
  return detail::call_method<std::uint64_t, std::uint64_t>(kFunctions[2], ledger, &Ledger::add,
                                                           std::move(entry));
}
Future<std::uint64_t> add_async(Ledger& ledger, std::uint64_t entry) {
  return detail::call_method_async<std::uint64_t, std::uint64_t>(kFunctions[2], ledger,
                                                                 &Ledger::add, std::move(entry));
}

class ElasticEndTest : public ::testing::Test {
 protected:
  ElasticEndTest() { edges_.resize(2); }
  ~ElasticEndTest() override { end(); }

  void make_edge(std::size_t index, std::uint64_t capacity = 1U << 20U) {
    edges_[index] = std::make_unique<MovableEdge>(kModule, make_ledger, capacity);
  }
  // A runtime with these two edges.
  void begin() {
    for (std::size_t i = 0; i < edges_.size(); ++i) {
      if (edges_[i] == nullptr) make_edge(i);
      SessionOptions options;
      options.edge = edges_[i]->address();
      options.modules.push_back({.module = &kModule, .digest = "sha256:dd", .graphs = {}});
      options.link.reconnect_delay = 10ms;
      sessions_.push_back(std::make_unique<RemoteSession>(std::move(options), io_, log_));
    }
    EndPlacesOptions options;
    for (const auto& session : sessions_) {
      ASSERT_TRUE(session->wait_ready(10s).has_value());
      options.sessions.push_back(session.get());
    }
    options.executor = &executor_;
    options.graphs = &graphs_;
    options.log = &log_;
    options.on_move = [this](const ModuleDescriptor&, const Result<MoveReport>& report) {
      if (report) (report->recovery ? recoveries_ : moves_).fetch_add(1);
    };
    options.homecoming = 2000ms;
    places_ = EndPlaces::make(std::move(options));
    dispatcher_ = std::make_unique<TestDispatcher>(places_);
    bind_dispatcher(*dispatcher_);
  }
  // As the end of the runtime.
  void end() {
    unbind_dispatcher(nullptr);
    if (places_ != nullptr) places_->end();
    dispatcher_.reset();
    places_.reset();
    sessions_.clear();
  }
  [[nodiscard]] static std::vector<std::uint64_t> up_to(std::uint64_t count) {
    std::vector<std::uint64_t> entries;
    for (std::uint64_t i = 0; i < count; ++i) entries.push_back(i);
    return entries;
  }
  MovableEdge& edge(std::size_t index) { return *edges_[index]; }

  std::mutex log_mutex_;
  std::vector<std::string> lines_;
  const Log log_{LogLevel::info, [this](LogLevel, std::string_view line) {
                   const std::lock_guard lock(log_mutex_);
                   lines_.emplace_back(line);
                 }};
  inference::GraphTable graphs_;
  channel::IoThread io_;
  HereExecutor executor_{2};
  std::vector<std::unique_ptr<MovableEdge>> edges_;
  std::vector<std::unique_ptr<RemoteSession>> sessions_;
  std::atomic<int> moves_ = 0;
  std::atomic<int> recoveries_ = 0;
  std::shared_ptr<EndPlaces> places_;
  std::unique_ptr<TestDispatcher> dispatcher_;
};

}  // namespace
}  // namespace aloft::function

const aloft::detail::ObjectClass& aloft::function::Ledger::aloft_class() {
  return aloft::function::ledger_class();
}

namespace aloft::function {
namespace {

// --- Objects

TEST_F(ElasticEndTest, a_method_of_an_object_that_is_here_is_a_plain_call) {
  begin();
  Ledger ledger;
  for (std::uint64_t i = 0; i < 10; ++i) EXPECT_EQ(add(ledger, i), i + 1);
  EXPECT_EQ(ledger.entries(), up_to(10)) << "nothing had to come home";
  EXPECT_EQ(edge(0).runs() + edge(1).runs(), 0U);
}

TEST_F(ElasticEndTest, an_object_moves_between_all_places_and_its_calls_go_on) {
  begin();
  Ledger ledger;
  std::uint64_t next = 0;
  for (const Location to : {Location::edge(0), Location::edge(1), Location::here(),
                            Location::edge(1), Location::edge(0), Location::here()}) {
    EXPECT_EQ(add(ledger, next), next + 1);
    ++next;
    const auto moved = move_to(ledger, to);
    ASSERT_TRUE(moved.has_value()) << moved.error().message;
    EXPECT_EQ(moved->to, to);
    EXPECT_GT(moved->state_bytes, 0U);
    EXPECT_EQ(add(ledger, next), next + 1);
    ++next;
  }
  EXPECT_EQ(ledger.entries(), up_to(next));
  EXPECT_EQ(moves_, 6);
  EXPECT_GT(edge(0).runs(), 0U);
  EXPECT_GT(edge(1).runs(), 0U);
  EXPECT_TRUE(edge(0).wait_for_ends(0) && edge(1).wait_for_ends(0)) << "what was left is gone";
}

TEST_F(ElasticEndTest, a_state_comes_home_when_the_runtime_ends) {
  begin();
  Ledger ledger;
  ASSERT_TRUE(move_to(ledger, Location::edge(0)).has_value());
  for (std::uint64_t i = 0; i < 20; ++i) EXPECT_EQ(add(ledger, i), i + 1);
  EXPECT_TRUE(ledger.entries().empty()) << "it is elsewhere";
  end();
  EXPECT_EQ(ledger.entries(), up_to(20));
  EXPECT_EQ(add(ledger, 20), 21U) << "a plain call goes on from there";
}

TEST_F(ElasticEndTest, an_object_outlives_runtimes) {
  Ledger ledger;
  std::uint64_t next = 0;
  for (int round = 0; round < 3; ++round) {
    begin();
    ASSERT_TRUE(move_to(ledger, Location::edge(static_cast<std::uint32_t>(round % 2))).has_value());
    EXPECT_EQ(add(ledger, next), next + 1);
    ++next;
    end();
  }
  EXPECT_EQ(ledger.entries(), up_to(next));
}

TEST_F(ElasticEndTest, a_state_is_recovered_here_when_its_edge_is_gone_at_the_end) {
  begin();
  Ledger ledger;
  ASSERT_TRUE(move_to(ledger, Location::edge(0)).has_value());
  for (std::uint64_t i = 0; i < 20; ++i) EXPECT_EQ(add(ledger, i), i + 1);
  edges_[0].reset();
  edges_[1].reset();
  end();
  EXPECT_EQ(ledger.entries(), up_to(20));
}

TEST_F(ElasticEndTest, a_lost_link_is_resumed_and_nothing_is_run_twice) {
  begin();
  Ledger ledger;
  ASSERT_TRUE(move_to(ledger, Location::edge(0)).has_value());
  for (std::uint64_t i = 0; i < 50; ++i) {
    if (i % 10 == 5) {
      auto under_way = add_async(ledger, i);
      edge(0).drop_link();
      const auto result = under_way.get();
      ASSERT_TRUE(result.has_value()) << result.error().message;
      EXPECT_EQ(*result, i + 1);
    } else {
      EXPECT_EQ(add(ledger, i), i + 1);
    }
  }
  EXPECT_EQ(recoveries_, 0);
  EXPECT_EQ(edge(0).runs(), 50U);
  end();
  EXPECT_EQ(ledger.entries(), up_to(50));
}

TEST_F(ElasticEndTest, a_lost_process_is_recovered_with_its_state) {
  begin();
  Ledger ledger;
  ASSERT_TRUE(move_to(ledger, Location::edge(0)).has_value());
  for (std::uint64_t i = 0; i < 60; ++i) {
    if (i % 20 == 10) edge(0).lose_process();
    EXPECT_EQ(add(ledger, i), i + 1);
  }
  EXPECT_GE(recoveries_, 1);
  end();
  EXPECT_EQ(ledger.entries(), up_to(60));
}

TEST_F(ElasticEndTest, asynchronous_calls_keep_their_order_across_a_move) {
  begin();
  Ledger ledger;
  std::vector<Future<std::uint64_t>> calls;
  std::vector<std::future<Result<MoveReport>>> moves;
  for (std::uint64_t i = 0; i < 300; ++i) {
    calls.push_back(add_async(ledger, i));
    if (i % 50 == 20) {
      moves.push_back(std::async(std::launch::async, [&ledger, i] {
        return move_to(ledger, Location::edge(static_cast<std::uint32_t>(i / 50 % 2)));
      }));
    }
  }
  for (std::uint64_t i = 0; i < calls.size(); ++i) {
    const auto result = calls[i].get();
    ASSERT_TRUE(result.has_value()) << result.error().message;
    EXPECT_EQ(*result, i + 1);
  }
  for (auto& moved : moves) {
    const auto report = moved.get();
    EXPECT_TRUE(report.has_value()) << report.error().message;
  }
  end();
  EXPECT_EQ(ledger.entries(), up_to(300));
}

TEST_F(ElasticEndTest, calls_of_several_threads_all_take_effect_once) {
  begin();
  Ledger ledger;
  std::atomic<bool> stop = false;
  std::thread mover([&] {
    const Location places[] = {Location::edge(0), Location::here(), Location::edge(1)};
    for (std::size_t i = 0; !stop; ++i) (void)move_to(ledger, places[i % 3]);
  });
  {
    std::vector<std::jthread> callers;
    for (std::uint64_t caller = 0; caller < 3; ++caller) {
      callers.emplace_back([&, caller] {
        for (std::uint64_t i = 0; i < 200; ++i) (void)add(ledger, 1000 * (caller + 1) + i);
      });
    }
  }
  stop = true;
  mover.join();
  end();
  std::vector<std::uint64_t> of_caller[3];
  for (const std::uint64_t entry : ledger.entries())
    of_caller[entry / 1000 - 1].push_back(entry % 1000);
  for (const auto& entries : of_caller) EXPECT_EQ(entries, up_to(200));
}

TEST_F(ElasticEndTest, a_call_that_was_given_up_ends_at_once_and_the_next_go_on) {
  begin();
  Ledger ledger;
  ASSERT_TRUE(move_to(ledger, Location::edge(0)).has_value());
  edge(0).pause();
  {
    auto given_up = add_async(ledger, 0);
    ASSERT_TRUE(edge(0).wait_for_deliveries(1));
  }  // while the edge sits on it
  edge(0).go_on();
  EXPECT_EQ(add(ledger, 1), 2U) << "what had left was run all the same";
}

TEST_F(ElasticEndTest, a_method_that_aborts_at_an_edge_fails_alone) {
  begin();
  Ledger ledger;
  ASSERT_TRUE(move_to(ledger, Location::edge(0)).has_value());
  EXPECT_EQ(add(ledger, 0), 1U);
  EXPECT_THROW((void)add(ledger, Ledger::kPoison), CallFailed);
  EXPECT_EQ(add(ledger, 1), 2U) << "with the state from before";
  end();
  EXPECT_EQ(ledger.entries(), up_to(2));
}

Errc code_of(Ledger& ledger, std::uint64_t entry) {
  try {
    (void)add(ledger, entry);
  } catch (const CallFailed& failed) {
    return failed.error().code;
  }
  return Errc::internal;
}

TEST_F(ElasticEndTest, a_method_without_a_result_at_its_deadline_is_told_so) {
  begin();
  Ledger ledger;
  ASSERT_TRUE(move_to(ledger, Location::edge(0)).has_value());
  edge(0).pause();
  dispatcher_->deadline = 30ms;
  EXPECT_EQ(code_of(ledger, 0), Errc::deadline_exceeded);
  auto future = add_async(ledger, 1);
  const auto told = future.get();
  ASSERT_FALSE(told.has_value());
  EXPECT_EQ(told.error().code, Errc::deadline_exceeded);
  edge(0).go_on();
  dispatcher_->deadline = 10s;
  EXPECT_EQ(add(ledger, 2), 3U) << "both had left, and took effect";
  auto in_time = add_async(ledger, 3);
  EXPECT_EQ(in_time.get().value_or(0), 4U);
  ASSERT_TRUE(move_to(ledger, Location::here()).has_value());
  EXPECT_EQ(ledger.entries(), up_to(4));
  dispatcher_->deadline = 0ms;
  EXPECT_EQ(code_of(ledger, 4), Errc::deadline_exceeded);
  EXPECT_EQ(ledger.entries(), up_to(4));
}

TEST_F(ElasticEndTest, an_object_that_lost_its_edge_takes_no_call_that_is_not_to_run_here) {
  begin();
  Ledger ledger;
  ASSERT_TRUE(move_to(ledger, Location::edge(0)).has_value());
  EXPECT_EQ(add(ledger, 0), 1U);
  for (auto& gone : edges_) gone.reset();
  EXPECT_EQ(add(ledger, 1), 2U) << "recovered here";
  dispatcher_->fallback = Fallback::none;
  EXPECT_EQ(code_of(ledger, 2), Errc::unreachable);
  EXPECT_EQ(add_async(ledger, 2).get().error().code, Errc::unreachable);
  dispatcher_->fallback = Fallback::here;
  EXPECT_EQ(add(ledger, 2), 3U);
}

TEST_F(ElasticEndTest, an_edge_that_takes_no_object_leaves_it_where_it_was) {
  begin();
  Ledger ledger;
  edge(0).refuse(Error{Errc::overloaded, "no room"});
  EXPECT_EQ(add(ledger, 0), 1U);
  const auto refused = move_to(ledger, Location::edge(0));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::overloaded);
  EXPECT_EQ(add(ledger, 1), 2U);
  const auto none = move_to(ledger, Location::edge(7));
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, Errc::invalid_argument);
  EXPECT_EQ(ledger.entries(), up_to(2));
}

TEST_F(ElasticEndTest, an_object_may_end_while_its_calls_are_under_way) {
  begin();
  std::vector<Future<std::uint64_t>> calls;
  for (int round = 0; round < 10; ++round) {
    Ledger ledger;
    if (round % 2 == 1) ASSERT_TRUE(move_to(ledger, Location::edge(0)).has_value());
    for (std::uint64_t i = 0; i < 20; ++i) calls.push_back(add_async(ledger, i));
    calls.push_back(add_async(ledger, 20));
  }
  for (auto& call : calls) {
    const auto result = call.get();
    EXPECT_TRUE(result.has_value() || result.error().code == Errc::cancelled);
  }
}

// --- Calls with effects

class LaunchCall {
 public:
  explicit LaunchCall(std::uint64_t value) : call(kFunctions[1], &launch, std::move(value)) {}
  detail::CallOf<std::uint64_t, std::uint64_t> call;
};

TEST_F(ElasticEndTest, a_call_with_effects_runs_once_where_it_is_sent) {
  begin();
  effects = 0;
  const auto calls = places_->once(kFunctions[1]);
  ASSERT_TRUE(calls.has_value());
  for (std::uint64_t i = 0; i < 10; ++i) {
    LaunchCall launched(i);
    (*calls)->run(launched.call, Location::edge(0));
    EXPECT_EQ(launched.call.take_or_throw(), i);
    EXPECT_EQ(launched.call.record.place, Place::edge);
  }
  EXPECT_EQ(effects, 10U);
}

TEST_F(ElasticEndTest, a_call_with_effects_on_a_lost_process_is_interrupted_and_not_repeated) {
  begin();
  effects = 0;
  const auto calls = places_->once(kFunctions[1]);
  ASSERT_TRUE(calls.has_value());
  {
    LaunchCall first(0);
    (*calls)->run(first.call, Location::edge(0));
    EXPECT_EQ(effects, 1U);
  }
  edge(0).pause();
  LaunchCall lost(1);
  (*calls)->start(lost.call, Location::edge(0));
  ASSERT_TRUE(edge(0).wait_for_deliveries(2));
  edge(0).lose_process();
  lost.call.completion().wait();
  ASSERT_TRUE(lost.call.record.error.has_value());
  EXPECT_EQ(lost.call.record.error->code, Errc::interrupted);
  edge(0).go_on();
  EXPECT_EQ(effects, 1U);
}

// --- Channels

using Twice = Channel<std::uint64_t, std::uint64_t>;

TEST_F(ElasticEndTest, a_channel_answers_in_order_across_moves) {
  begin();
  auto channel = Twice::open(&twice);
  ASSERT_TRUE(channel.has_value()) << channel.error().message;
  std::atomic<bool> stop = false;
  std::thread mover([&] {
    const Location places[] = {Location::edge(0), Location::edge(1), Location::here()};
    for (std::size_t i = 0; !stop; ++i) (void)channel->move_to(places[i % 3]);
  });
  constexpr std::uint64_t kCount = 1000;
  std::thread sender([&] {
    for (std::uint64_t i = 0; i < kCount;) {
      const auto sent = channel->send(i);
      if (sent) {
        EXPECT_EQ(*sent, i + 1);
        ++i;
      } else {
        EXPECT_EQ(sent.error().code, Errc::overloaded);
        std::this_thread::yield();
      }
    }
  });
  for (std::uint64_t i = 0; i < kCount; ++i) {
    auto received = channel->receive(10s);
    ASSERT_TRUE(received.has_value()) << received.error().message;
    EXPECT_EQ(received->sequence, i + 1);
    ASSERT_TRUE(received->result.has_value()) << received->result.error().message;
    EXPECT_EQ(*received->result, 2 * i);
    EXPECT_GT(received->age.count(), 0);
  }
  sender.join();
  stop = true;
  mover.join();
  const ChannelStats stats = channel->stats();
  EXPECT_EQ(stats.sent, kCount);
  EXPECT_EQ(stats.answered, kCount);
  EXPECT_EQ(stats.dropped, 0U);
  EXPECT_EQ(stats.messages_held, 0U);
}

TEST_F(ElasticEndTest, a_channel_to_a_method_shares_the_objects_order) {
  begin();
  Ledger ledger;
  auto channel = Channel<std::uint64_t, std::uint64_t>::open(ledger, &Ledger::add,
                                                             {.start = Location::edge(1)});
  ASSERT_TRUE(channel.has_value()) << channel.error().message;
  EXPECT_EQ(channel->location(), Location::edge(1));
  for (std::uint64_t i = 0; i < 100; i += 2) {
    ASSERT_TRUE(channel->send(i).has_value());
    EXPECT_EQ(add(ledger, i + 1), i + 2);
  }
  for (std::uint64_t i = 0; i < 100; i += 2) {
    auto received = channel->receive(10s);
    ASSERT_TRUE(received.has_value());
    EXPECT_EQ(*received->result, i + 1);
    EXPECT_EQ(received->place, Location::edge(1));
  }
  end();
  EXPECT_EQ(ledger.entries(), up_to(100));
}

TEST_F(ElasticEndTest, a_channel_for_the_latest_drops_what_is_stale_before_it_leaves) {
  begin();
  auto channel = Twice::open(
      &twice, {.kind = ChannelKind::latest, .in_flight = 1, .start = Location::edge(0)});
  ASSERT_TRUE(channel.has_value()) << channel.error().message;
  edge(0).pause();
  ASSERT_TRUE(channel->send(0).has_value());
  ASSERT_TRUE(edge(0).wait_for_deliveries(1));
  for (std::uint64_t i = 1; i <= 9; ++i) ASSERT_TRUE(channel->send(i).has_value());
  edge(0).go_on();
  const auto first = channel->receive(10s);
  const auto second = channel->receive(10s);
  ASSERT_TRUE(first.has_value() && second.has_value());
  EXPECT_EQ(*first->result, 0U);
  EXPECT_EQ(*second->result, 18U) << "the newest";
  EXPECT_EQ(second->sequence, 10U);
  EXPECT_EQ(channel->stats().dropped, 8U);
  EXPECT_FALSE(channel->try_receive().has_value());
}

TEST_F(ElasticEndTest, a_message_that_has_not_left_by_its_deadline_is_dropped) {
  begin();
  auto channel = Twice::open(&twice, {.kind = ChannelKind::deadline,
                                      .deadline = 20ms,
                                      .in_flight = 1,
                                      .start = Location::edge(0)});
  ASSERT_TRUE(channel.has_value()) << channel.error().message;
  edge(0).pause();
  ASSERT_TRUE(channel->send(0).has_value());
  ASSERT_TRUE(edge(0).wait_for_deliveries(1));
  ASSERT_TRUE(channel->send(1).has_value());
  EXPECT_FALSE(channel->receive(100ms).has_value());
  EXPECT_EQ(channel->stats().dropped, 1U);
  edge(0).go_on();
  ASSERT_EQ(*channel->receive(10s)->result, 0U);
  ASSERT_TRUE(channel->send(2).has_value());
  const auto next = channel->receive(10s);
  EXPECT_EQ(*next->result, 4U);
  EXPECT_EQ(next->sequence, 3U);
}

TEST_F(ElasticEndTest, a_channel_holds_a_bounded_number_of_messages) {
  begin();
  auto channel =
      Twice::open(&twice, {.in_flight = 2, .max_messages = 10, .start = Location::edge(0)});
  ASSERT_TRUE(channel.has_value()) << channel.error().message;
  edge(0).pause();
  for (std::uint64_t i = 0; i < 10; ++i) ASSERT_TRUE(channel->send(i).has_value());
  const auto one_more = channel->send(10);
  ASSERT_FALSE(one_more.has_value());
  EXPECT_EQ(one_more.error().code, Errc::overloaded);
  EXPECT_GT(channel->stats().bytes_held, 0U);
  edge(0).go_on();
  for (std::uint64_t i = 0; i < 10; ++i) {
    EXPECT_EQ(*channel->receive(10s)->result, 2 * i);
    EXPECT_TRUE(channel->send(10 + i).has_value()) << "there is room again";
  }
}

TEST_F(ElasticEndTest, a_message_that_an_edge_has_no_room_for_runs_elsewhere) {
  make_edge(0, 1000);
  make_edge(1, 1000);
  begin();
  auto channel = Channel<std::string, std::uint64_t>::open(&size_of, {.start = Location::edge(0)});
  ASSERT_TRUE(channel.has_value()) << channel.error().message;
  for (const std::size_t size : {10U, 100U, 100000U, 20U}) {
    ASSERT_TRUE(channel->send(std::string(size, 'x')).has_value());
    const auto received = channel->receive(10s);
    ASSERT_TRUE(received.has_value()) << received.error().message;
    ASSERT_TRUE(received->result.has_value()) << received->result.error().message;
    EXPECT_EQ(*received->result, size);
    EXPECT_EQ(received->place.is_here(), size > 1000 || size == 20) << "it stays where it went";
  }
}

TEST_F(ElasticEndTest, results_can_be_called_back) {
  begin();
  auto channel = Twice::open(&twice, {.start = Location::edge(0)});
  ASSERT_TRUE(channel.has_value());
  std::vector<std::uint64_t> results;
  std::promise<void> all;
  channel->receive_with([&](const Received<std::uint64_t>& received) {
    results.push_back(*received.result);
    if (results.size() == 50) all.set_value();
  });
  for (std::uint64_t i = 0; i < 50; ++i) ASSERT_TRUE(channel->send(i).has_value());
  ASSERT_EQ(all.get_future().wait_for(10s), std::future_status::ready);
  for (std::uint64_t i = 0; i < 50; ++i) EXPECT_EQ(results[i], 2 * i);
}

TEST_F(ElasticEndTest, a_channel_survives_lost_links_and_lost_processes) {
  begin();
  auto channel = Twice::open(&twice, {.start = Location::edge(0)});
  ASSERT_TRUE(channel.has_value());
  for (std::uint64_t i = 0; i < 200; ++i) {
    ASSERT_TRUE(channel->send(i).has_value());
    if (i % 40 == 20) edge(0).drop_link();
    if (i == 100) edge(0).lose_process();
  }
  for (std::uint64_t i = 0; i < 200; ++i) {
    auto received = channel->receive(10s);
    ASSERT_TRUE(received.has_value()) << i << ": " << received.error().message;
    EXPECT_EQ(received->sequence, i + 1);
    ASSERT_TRUE(received->result.has_value()) << received->result.error().message;
    EXPECT_EQ(*received->result, 2 * i);
  }
}

TEST_F(ElasticEndTest, closing_ends_what_is_under_way_and_destruction_needs_no_order) {
  begin();
  auto channel = Twice::open(&twice, {.start = Location::edge(0)});
  ASSERT_TRUE(channel.has_value());
  edge(0).pause();
  for (std::uint64_t i = 0; i < 5; ++i) ASSERT_TRUE(channel->send(i).has_value());
  channel->close();
  EXPECT_EQ(channel->send(5).error().code, Errc::refused);
  for (std::uint64_t i = 0; i < 5; ++i) {
    const auto received = channel->receive(10s);
    ASSERT_TRUE(received.has_value());
    EXPECT_EQ(received->result.error().code, Errc::cancelled);
  }
  EXPECT_EQ(channel->receive(10s).error().code, Errc::refused);

  auto other = Twice::open(&twice, {.start = Location::edge(1)});
  ASSERT_TRUE(other.has_value());
  ASSERT_TRUE(other->send(1).has_value());
  end();
  EXPECT_EQ(other->send(2).error().code, Errc::refused);
  EXPECT_EQ(other->move_to(Location::here()).error().code, Errc::refused);
}

TEST_F(ElasticEndTest, a_channel_is_only_to_elastic_functions_and_with_a_runtime) {
  EXPECT_EQ(Twice::open(&twice).error().code, Errc::refused);
  begin();
  EXPECT_EQ((Channel<std::tuple<>, std::uint64_t>::open(+[]() -> std::uint64_t { return 0; })
                 .error()
                 .code),
            Errc::not_found);
}

}  // namespace
}  // namespace aloft::function
